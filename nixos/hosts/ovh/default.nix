# Utility: auxiliary services, no databases.
{ ... }:
{
  imports = [
    ../common.nix
    ../../profiles/storage/server-base.nix
    ../../profiles/storage/with-containers.nix
  ];
  networking.hostName = "ovh";
  hardware.facter.reportPath = ./facter.json;
  panther.storage = {
    profile = "utility-vps";
    disks.main = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-scsi0";
  };
  services.panther.backups.nightly.onCalendar = "04:40";
}
