# What laptops share: an ESP, LUKS if wanted, swap in a file (so that it is inside LUKS, too).
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.panther.storage;
in
{
  options.panther.storage = {
    layout = mkOption {
      type = types.enum [
        "single-nvme"
        "dual-nvme"
        "server"
        "none"
      ];
      description = "How the disks are divided. `none` leaves disko.devices to the host.";
    };
    disks = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = {
        main = "/dev/disk/by-id/nvme-CT2000P3SSD8_2311E6BCA8F1";
      };
      description = "Devices by pool: `main`, and `data` where there are two. Names below /dev/disk/by-id stay the same when disks are plugged differently.";
    };
    encryption = {
      enable = mkOption {
        type = types.bool;
        default = false;
        description = "Put each Btrfs into LUKS. Laptops have it on; a server could not be started from afar.";
      };
      passwordFile = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/tmp/disk-password";
        description = "Where the passphrase is while the disk is formatted. `null`: Disko asks.";
      };
    };
    swapGiB = mkOption {
      type = types.ints.unsigned;
      default = 8;
      description = "Swap: on laptops a file in a subvolume of its own, on servers a partition. 0: none.";
    };
    bios = mkOption {
      type = types.bool;
      default = false;
      description = "Also make a partition for GRUB on firmware without UEFI, as some virtual servers have it.";
    };
  };

  config = lib.mkIf (cfg.enable && cfg.class == "laptop") {
    panther.storage.encryption.enable = lib.mkDefault true;
    boot.loader.systemd-boot.enable = lib.mkDefault true;
    boot.loader.efi.canTouchEfiVariables = lib.mkDefault true;
  };
}
