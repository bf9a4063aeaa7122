# A laptop with one disk; the disk from which a laptop with two starts.
{ config, lib, ... }:
let
  cfg = config.panther.storage;
  panther = import ../../../lib/storage { inherit lib; };
in
{
  config =
    lib.mkIf
      (
        cfg.enable
        && lib.elem cfg.layout [
          "single-nvme"
          "dual-nvme"
        ]
      )
      {
        disko.devices.disk.main = panther.disko.disk {
          device = cfg.disks.main;
          label = "main";
          pool = "main";
          table = cfg.subvolumes;
          boot = true;
          inherit (cfg) bios discard;
          encrypted = cfg.encryption.enable;
          inherit (cfg.encryption) passwordFile;
          swapFileGiB = cfg.swapGiB;
        };
        # The swap file lies in a subvolume of the main file system; so does what is needed at once.
        fileSystems = lib.mkIf (cfg.swapGiB > 0) { "/.swap".neededForBoot = true; };
      };
}
