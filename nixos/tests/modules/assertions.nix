# Each thing that is refused, tripped; `said` is what must be in the message.
{ h, lib, ... }:
let
  trip = name: change: h.failures (h.hostWith name [ change ]);
  # Exactly one message, with these words; the messages are printed by the runner.
  refused = name: change: said: {
    expr =
      let
        messages = trip name change;
      in
      {
        count = builtins.length messages;
        said = map (s: lib.any (lib.hasInfix s) messages) said;
        inherit messages;
      };
    expected = {
      count = 1;
      said = map (_: true) said;
    };
  };
  force = lib.mkForce;
in
{
  testLocalObjective = refused "hetzner" { panther.snapshots.onCalendar = "hourly"; } [
    "can lose 1 h 2 min"
    "panther.storage.objectives.localMinutes) is 30 min"
  ];
  testOffsiteObjective =
    refused "contabo" { services.panther.backups.nightly.onCalendar = force "Sun 04:10"; }
      [
        "can lose 7 d 20 min"
        "is 1 d 2 h"
      ];
  testDatabaseObjective =
    refused "hetzner" { panther.databases.postgresql.archiveTimeout = "25min"; }
      [
        "every 42 min in the worst case"
        "databaseMinutes) is 30 min"
      ];
  testWorkingHours = refused "ovh" { services.panther.backups.nightly.onCalendar = force "12:00"; } [
    "“12:00”"
    "between 08:00 and 20:00 on a working day"
  ];
  testWorkingHoursByDelay = refused "ovh" {
    services.panther.backups.nightly.onCalendar = force "07:50";
  } [ "up to 20 min later" ];
  testClockChange = refused "ovh" { services.panther.backups.nightly.onCalendar = force "02:30"; } [
    "between 02:00 and 03:00"
  ];
  testNocowWithCompression =
    refused "hetzner" { panther.storage.subvolumes.redis.compression = "zstd"; }
      [
        "/var/lib/redis has nodatacow and compression = \"zstd\""
      ];
  testNodatacowAsMountOption =
    refused "zephyrus" { panther.storage.subvolumes.nix.mountOptions = [ "nodatacow" ]; }
      [
        "/nix has the mount option “nodatacow”"
        "for all of its subvolumes"
      ];
  testDatabaseOutside = refused "contabo" { panther.databases.redis.subvolume = force false; } [
    "/var/lib/redis/panther, which lies in the subvolume / and not in one of its own"
  ];
  testNestedLeftOut =
    refused "zephyrus"
      {
        panther.storage.subvolumes.games = {
          mountpoint = "/home/games";
        };
      }
      [
        "the subvolume /home/games below is not in its snapshot"
        "panther.storage.subvolumes.games.backup = false"
      ];
  testRetentionOfNothing =
    refused "yoga"
      {
        panther.snapshots.retention = {
          daily = 0;
          weekly = 4;
        };
      }
      [
        "panther.snapshots.retention.daily is 0"
      ];
  testRetentionOfNothingInB2 = refused "yoga" {
    services.panther.backups.nightly.retention = {
      daily = 7;
      monthly = 0;
    };
  } [ "services.panther.backups.nightly.retention.monthly is 0" ];
  testBudget = {
    inherit
      (refused "yoga" { panther.fleet.yoga.budgetDollars = force 4; } [
        "come to 12.5 dollars a month, over the limit of 10"
      ])
      expr
      expected
      ;
  };
  testBudgetOfOne = refused "yoga" { services.panther.backups.nightly.budgetDollars = force 12; } [
    "budgetDollars is 12, over the limit of 10"
  ];
  testSecretInTheStore = refused "ovh" {
    services.panther.backups.nightly.passwordFile = "${builtins.storeDir}/x-password";
  } [ "in the store, which everybody on this machine can read" ];
  testB2KeyInTheStore = refused "ovh" { services.panther.b2KeyFile = force "/nix/store/x-key"; } [
    "services.panther.b2KeyFile is /nix/store/x-key, in the store"
  ];
  testSharedWriter = refused "ovh" { panther.fleet.ovh.writer = "contabo"; } [
    "contabo and ovh share the writer name “contabo”"
  ];
  testTwoAdmins = refused "yoga" { panther.fleet.ovh.role = "admin"; } [
    "ovh and zephyrus are both admin"
  ];
  testWriterCannotCheck = refused "ovh" {
    services.panther.backups.nightly.check.onCalendar = "Sun 05:00";
  } [ "take the admin's key" ];
  testNoCalendar = refused "ovh" { panther.snapshots.onCalendar = "now and then"; } [
    "is none of the forms"
  ];
  testNoCalendarOfThePage = refused "ovh" { services.panther.statusPage.onCalendar = "at times"; } [
    "services.panther.statusPage.onCalendar = “at times”"
  ];
  testNoCalendarOfADrill = refused "zephyrus" {
    services.panther.backups.nightly.drill.onCalendar = force "full moon";
  } [ "services.panther.backups.nightly: drill.onCalendar = “full moon”" ];
  testNoApplicationKey = refused "ovh" { services.panther.b2KeyFile = force null; } [
    "there is no application key"
  ];
  testNothingOpens = refused "ovh" { services.panther.passwordFile = force null; } [
    "nothing opens the repository"
  ];
  testOneDiskForTwo = refused "zephyrus" {
    panther.storage.disks.data = force "/dev/disk/by-id/nvme-CT2000P3SSD8_2311E6BCA8F1";
  } [ "which needs two disks" ];
  # Frequent small jobs may run at any hour, if somebody says so.
  testOffPeakCanBeWaived = {
    expr = trip "ovh" {
      services.panther.backups.nightly.onCalendar = force "hourly";
      services.panther.backups.nightly.offPeak = false;
    };
    expected = [ ];
  };
}
