# Mount options that hold for whole file systems.
{ config, lib, ... }:
let
  cfg = config.panther.storage;
in
{
  options.panther.storage.discard = lib.mkOption {
    type = lib.types.bool;
    default = true;
    description = "Tell the disk which blocks are free, in the background (discard=async). Off for disks that do it badly; fstrim runs weekly in any case.";
  };

  config = lib.mkIf cfg.enable {
    # What is needed to reach the journal and the store, before anything else is mounted.
    fileSystems = lib.listToAttrs (
      map (s: lib.nameValuePair s.mountpoint { neededForBoot = true; }) (
        lib.filter (
          s:
          lib.elem s.mountpoint [
            "/"
            "/nix"
            "/var/log"
          ]
        ) (lib.attrValues cfg.subvolumes)
      )
    );
  };
}
