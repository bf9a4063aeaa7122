# contabo: hetzner's structure, a few hours may be lost.
{ config, lib, ... }:
let
  inherit (lib) mkDefault;
  cfg = config.panther.storage;
in
{
  config = lib.mkIf (cfg.enable && cfg.profile == "staging-vps") {
    panther.storage = {
      swapGiB = mkDefault 4;
      objectives = {
        localMinutes = mkDefault 180;
        restoreMinutes = mkDefault 120;
      };
    };
    panther.snapshots.onCalendar = mkDefault "*-*-* 0/2:00";
    panther.databases = {
      postgresql.subvolume = mkDefault true;
      redis.subvolume = mkDefault true;
    };
  };
}
