# Production. Databases leave the machine every 15 minutes; everything else at night.
{ config, ... }:
{
  imports = [
    ../common.nix
    ../../profiles/storage/server-base.nix
    ../../profiles/storage/with-containers.nix
    ../../profiles/storage/with-databases.nix
  ];
  networking.hostName = "hetzner";
  hardware.facter.reportPath = ./facter.json;
  panther.storage = {
    profile = "production-vps";
    disks.main = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_47218153";
  };
  panther.containers.backup = "volumes";

  services.panther = {
    backups.nightly.onCalendar = "03:30";
    backups.databases = {
      inherit (config.services.panther.backups.nightly) repository;
      sources = [
        config.panther.databases.postgresql.folder
        config.panther.databases.redis.folder
        config.panther.databases.postgresql.walArchive
      ];
      onCalendar = "*:0/15";
      delay = "2min";
      offPeak = false;
      skipIfUnchanged = true;
      objectiveMinutes = config.panther.storage.objectives.databaseMinutes;
      warnAgeAfter = "1h";
    };
    statusPage.domain = "backup.hbohlen.systems";
  };
}
