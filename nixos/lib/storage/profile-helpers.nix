# What the profiles of several hosts have in common.
{ lib }:
let
  inherit (lib) mkDefault;
in
{
  # The subvolumes that every machine has. `backupsMode`: who may look into /var/lib/backups, where archives of databases lie on servers.
  baseSubvolumes =
    { backupsMode }:
    {
      root = {
        mountpoint = "/";
        snapshots = mkDefault true;
        backup = mkDefault true;
      };
      home = {
        mountpoint = "/home";
        snapshots = mkDefault true;
        backup = mkDefault true;
      };
      # Made anew from the flake; code is compressed well, and checksums matter: no nodatacow.
      nix = {
        mountpoint = "/nix";
        backup = mkDefault false;
      };
      containers = {
        mountpoint = "/var/lib/containers";
        mode = mkDefault "711";
        backup = mkDefault false;
      };
      backups = {
        mountpoint = "/var/lib/backups";
        mode = mkDefault backupsMode;
        backup = mkDefault false;
      };
    };
}
