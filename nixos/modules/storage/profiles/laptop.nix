# What all laptops share.
{ config, lib, ... }:
let
  inherit (lib) mkDefault;
  cfg = config.panther.storage;
  panther = import ../../../lib/storage { inherit lib; };
in
{
  config = lib.mkIf (cfg.enable && cfg.class == "laptop") {
    panther.storage = {
      objectives = {
        localMinutes = mkDefault 75;
        # A night that was missed, and the day until the machine is on again.
        offsiteMinutes = mkDefault (36 * 60);
        restoreMinutes = mkDefault 60;
      };
      subvolumes = panther.profiles.baseSubvolumes { backupsMode = "700"; };
    };
    panther.snapshots = {
      enable = mkDefault true;
      onCalendar = mkDefault "hourly";
      delay = mkDefault "5min";
      retention = mkDefault ({ hourly = 24; } // panther.snapshots.presets.laptop);
    };
  };
}
