# ovh: the servers' structure without databases (profiles/storage/with-databases.nix adds them).
{ config, lib, ... }:
let
  inherit (lib) mkDefault;
  cfg = config.panther.storage;
in
{
  config = lib.mkIf (cfg.enable && cfg.profile == "utility-vps") {
    panther.storage = {
      swapGiB = mkDefault 4;
      objectives = {
        localMinutes = mkDefault 300;
        restoreMinutes = mkDefault 120;
      };
    };
    panther.snapshots.onCalendar = mkDefault "*-*-* 0/4:00";
  };
}
