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
      subvolumes = panther.profiles.baseSubvolumes { backupsMode = "711"; } // {
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
