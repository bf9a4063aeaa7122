# Staging: hetzner's structure, less often.
{ ... }:
{
  imports = [
    ../common.nix
    ../../profiles/storage/server-base.nix
    ../../profiles/storage/with-containers.nix
    ../../profiles/storage/with-databases.nix
  ];
  networking.hostName = "contabo";
  hardware.facter.reportPath = ./facter.json;
  panther.storage = {
    profile = "staging-vps";
    disks.main = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-scsi0";
  };
  services.panther.backups.nightly.onCalendar = "04:10";
}
