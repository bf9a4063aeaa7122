# What laptops share: an ESP, LUKS if wanted, swap in a file (so that it is inside LUKS, too).
{ config, lib, ... }:
let
  panther = import ../../../lib/storage { inherit lib; };
  inherit (panther.options)
    flag
    maybeText
    option
    wanted
    withExample
    ;
  inherit (lib) types;
  cfg = config.panther.storage;
in
{
  options.panther.storage = {
    layout = wanted (types.enum [
      "single-nvme"
      "dual-nvme"
      "server"
      "none"
    ]) "How the disks are divided. `none` leaves disko.devices to the host.";
    disks =
      withExample
        {
          main = "/dev/disk/by-id/nvme-CT2000P3SSD8_2311E6BCA8F1";
        }
        (
          option (types.attrsOf types.str) { }
            "Devices by pool: `main`, and `data` where there are two. Names below /dev/disk/by-id stay the same when disks are plugged differently."
        );
    encryption = {
      enable = flag false "Put each Btrfs into LUKS. Laptops have it on; a server could not be started from afar.";
      passwordFile = withExample "/tmp/disk-password" (
        maybeText null "Where the passphrase is while the disk is formatted. `null`: Disko asks."
      );
    };
    swapGiB =
      option types.ints.unsigned 8
        "Swap: on laptops a file in a subvolume of its own, on servers a partition. 0: none.";
    bios = flag false "Also make a partition for GRUB on firmware without UEFI, as some virtual servers have it.";
  };

  config = lib.mkIf (cfg.enable && cfg.class == "laptop") {
    panther.storage.encryption.enable = lib.mkDefault true;
    boot.loader.systemd-boot.enable = lib.mkDefault true;
    boot.loader.efi.canTouchEfiVariables = lib.mkDefault true;
  };
}
