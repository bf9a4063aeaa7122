# zephyrus: two NVMe disks as two file systems, databases, containers, much code.
{ config, lib, ... }:
let
  inherit (lib) mkDefault;
  cfg = config.panther.storage;
in
{
  config = lib.mkIf (cfg.enable && cfg.profile == "dev-laptop") {
    panther.storage = {
      layout = mkDefault "dual-nvme";
      swapGiB = mkDefault 16;
      subvolumes = {
        # Code and builds: many small files that compress well and must not rot. nodatacow is one option away.
        dev = {
          mountpoint = "/home/dev";
          snapshots = mkDefault true;
          backup = mkDefault true;
        };
        backups.pool = mkDefault "data";
        data = {
          mountpoint = "/data";
          pool = mkDefault "data";
          snapshots = mkDefault true;
          backup = mkDefault true;
        };
      };
    };
    panther.databases = {
      postgresql.subvolume = mkDefault true;
      redis.subvolume = mkDefault true;
    };
  };
}
