# Light laptop, one NVMe disk.
{ ... }:
{
  imports = [
    ../common.nix
    ../../profiles/storage/laptop-base.nix
    ../../profiles/storage/with-containers.nix
  ];
  networking.hostName = "yoga";
  hardware.facter.reportPath = ./facter.json;
  panther.storage.disks.main = "/dev/disk/by-id/nvme-SAMSUNG_MZVLB512HBJQ-000L2_S4DYNX0R412345";
  services.panther.backups.nightly = {
    onCalendar = "21:00";
    delay = "45min";
  };
}
