# Heavy development laptop, two NVMe disks. The admin's machine: it checks, forgets, prunes and drills for all five.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  drill = host: tag: [
    "drill"
    "--host"
    host
    "--tag"
    tag
  ];
  # That of profiles/storage/with-databases.nix.
  starts = [
    "--start-postgresql"
    "${pkgs.postgresql_16}/bin"
  ];
in
{
  imports = [
    ../common.nix
    ../../profiles/storage/laptop-base.nix
    ../../profiles/storage/with-containers.nix
  ];
  networking.hostName = "zephyrus";
  hardware.facter.reportPath = ./facter.json;
  panther.storage.disks = {
    main = "/dev/disk/by-id/nvme-CT2000P3SSD8_2311E6BCA8F1";
    data = "/dev/disk/by-id/nvme-Micron_2450_MTFDKBA1T0TFK_21323158A6C3";
  };

  # The page of all hosts takes a look at each of their snapshots.
  services.panther.statusPage.onCalendar = "*-*-* 0/4:00";
  services.panther.backups.nightly = {
    onCalendar = "21:30";
    delay = "45min";
    check.onCalendar = "Sun 20:30";
    drill = {
      onCalendar = "*-*-05 20:30";
      # Each host by itself; and the databases, one at a time, with a PostgreSQL that must start on them.
      arguments =
        map (
          host:
          drill host "nightly"
          ++ lib.optionals (lib.elem host [
            "hetzner"
            "contabo"
          ]) starts
        ) (lib.attrNames config.panther.fleet)
        ++ [ (drill "hetzner" "databases" ++ starts) ];
    };
    prune.enable = true;
    forget = {
      onCalendar = "Sat 20:30";
      arguments = [
        [
          "forget"
          "--host"
          "zephyrus"
          "--host"
          "yoga"
          "--policy"
          "laptop"
        ]
        [
          "forget"
          "--tag"
          "nightly"
          "--host"
          "hetzner"
          "--host"
          "contabo"
          "--host"
          "ovh"
          "--policy"
          "server"
        ]
        [
          "forget"
          "--tag"
          "databases"
          "--keep-within"
          "2d"
          "--keep-hourly"
          "48"
          "--keep-daily"
          "30"
        ]
      ];
    };
  };
}
