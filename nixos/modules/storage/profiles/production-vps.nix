# hetzner: at most 15 to 30 minutes may be lost, of databases also when the machine is lost.
{ config, lib, ... }:
let
  inherit (lib) mkDefault;
  cfg = config.panther.storage;
  panther = import ../../../lib/storage { inherit lib; };
in
{
  config = lib.mkIf (cfg.enable && cfg.profile == "production-vps") {
    panther.storage = {
      swapGiB = mkDefault 8;
      objectives = {
        localMinutes = mkDefault 30;
        databaseMinutes = mkDefault 30;
        restoreMinutes = mkDefault 30;
      };
    };
    panther.snapshots = {
      onCalendar = mkDefault "*:0/15";
      # The last two hours in quarters, then by the hour.
      retention = mkDefault (
        {
          last = 8;
          hourly = 24;
        }
        // panther.snapshots.presets.server
      );
    };
    panther.databases = {
      postgresql.subvolume = mkDefault true;
      redis.subvolume = mkDefault true;
    };
  };
}
