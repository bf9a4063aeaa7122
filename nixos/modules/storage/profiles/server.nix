# What all servers share.
{ config, lib, ... }:
let
  inherit (lib) mkDefault;
  cfg = config.panther.storage;
  panther = import ../../../lib/storage { inherit lib; };
in
{
  config = lib.mkIf (cfg.enable && cfg.class == "server") {
    panther.storage = {
      layout = mkDefault "server";
      objectives.offsiteMinutes = mkDefault (26 * 60);
      subvolumes = {
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
          mode = mkDefault "711";
          backup = mkDefault false;
        };
        log = {
          mountpoint = "/var/log";
          mountOptions = mkDefault [
            "nosuid"
            "nodev"
            "noexec"
          ];
          backup = mkDefault true;
        };
      };
    };
    # The journal must not fill the disk on which the databases are.
    services.journald.extraConfig = mkDefault ''
      SystemMaxUse=2G
      MaxRetentionSec=90day
    '';
    services.logrotate.enable = mkDefault true;
    panther.snapshots = {
      enable = mkDefault true;
      delay = mkDefault "2min";
      retention = mkDefault ({ hourly = 24; } // panther.snapshots.presets.server);
    };
  };
}
