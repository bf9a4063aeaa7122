# A server: GRUB for UEFI and BIOS alike, swap in a partition, one Btrfs.
{ config, lib, ... }:
let
  cfg = config.panther.storage;
  panther = import ../../../lib/storage { inherit lib; };
in
{
  config = lib.mkIf (cfg.enable && cfg.layout == "server") {
    panther.storage.bios = lib.mkDefault true;
    boot.loader.grub = {
      enable = lib.mkDefault true;
      efiSupport = lib.mkDefault true;
      efiInstallAsRemovable = lib.mkDefault true;
    };
    disko.devices.disk.main = panther.disko.disk {
      device = cfg.disks.main;
      label = "main";
      pool = "main";
      table = cfg.subvolumes;
      boot = true;
      inherit (cfg) bios discard;
      encrypted = cfg.encryption.enable;
      inherit (cfg.encryption) passwordFile;
      espMiB = 512;
      swapPartitionGiB = cfg.swapGiB;
    };
  };
}
