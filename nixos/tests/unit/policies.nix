# Retention, arguments, money, the fleet, TOML.
{ panther, ... }:
let
  snapshots = panther.snapshots;
  backup = panther.backup;
in
{
  testPresets = {
    expr = map snapshots.describe [
      snapshots.presets.laptop
      snapshots.presets.server
    ];
    expected = [
      "7 daily, 4 weekly, 12 monthly"
      "30 daily, 12 weekly, 12 monthly"
    ];
  };
  testPruneArguments = {
    expr = snapshots.pruneArguments (snapshots.presets.laptop // { within = "36h"; });
    expected = [
      "--keep-daily"
      "7"
      "--keep-weekly"
      "4"
      "--keep-monthly"
      "12"
      "--keep-within"
      "36h"
    ];
  };
  testRetentionOfNothing = {
    expr = map (r: builtins.length (snapshots.problems "x" r)) [
      snapshots.presets.server
      { daily = 0; }
      { }
      { dayly = 7; }
      { within = "7d"; }
    ];
    expected = [
      0
      1
      1
      1
      0
    ];
  };
  testCounts = {
    expr = map snapshots.countAtMost [
      snapshots.presets.laptop
      (
        snapshots.presets.server
        // {
          hourly = 24;
          last = 8;
        }
      )
    ];
    expected = [
      23
      86
    ];
  };
  testNames = {
    expr = map snapshots.isName [
      "20261123T020000Z"
      "20261123T020000Z-before-upgrade"
      "20261123T020000Z.1"
      "backup-20261123T020000Z-0123456789abcdef"
      "2026-11-23"
    ];
    expected = [
      true
      true
      true
      false
      false
    ];
  };
  testWorstAge = {
    expr = snapshots.worstAgeMinutes {
      onCalendar = "*:0/15";
      delayMinutes = 2;
    };
    expected = 17;
  };
  testRepository = {
    expr = map backup.parseRepository [
      "b2://bucket/some/prefix"
      "b2://bucket"
      "/mnt/disk"
    ];
    expected = [
      {
        bucket = "bucket";
        prefix = "some/prefix";
      }
      {
        bucket = "bucket";
        prefix = "";
      }
      null
    ];
  };
  # The dated price list: $5 is about 729 GB, $10 about 1,449 GB, 10 GB are free.
  testInStore = {
    expr = map backup.isInStore [
      null
      "/run/secrets/x"
      "/nix/store/abc-x"
      "${builtins.storeDir}/abc-x"
      "/nix/storehouse"
    ];
    expected = [
      false
      false
      true
      true
      false
    ];
  };
  testObjective = {
    expr =
      map
        (
          objectiveMinutes:
          builtins.length (
            backup.objectiveProblems {
              what = "x";
              onCalendar = "*:0/15";
              delayMinutes = 2;
              inherit objectiveMinutes;
              option = "y";
            }
          )
        )
        [
          16
          17
        ];
    expected = [
      1
      0
    ];
  };
  testFleet = {
    expr =
      let
        host = writer: budgetDollars: role: { inherit writer budgetDollars role; };
        problems =
          hosts:
          builtins.length (
            backup.fleetProblems {
              inherit hosts;
              limitDollars = 10;
            }
          );
      in
      map problems [
        {
          a = host "a" 5 "admin";
          b = host "b" 5 "writer";
        }
        {
          a = host "a" 5 "writer";
          b = host "a" 5 "writer";
        }
        {
          a = host "a" 5.5 "writer";
          b = host "b" 5 "writer";
        }
        {
          a = host "a" 1 "admin";
          b = host "b" 1 "admin";
        }
      ];
    expected = [
      0
      1
      1
      1
    ];
  };
  testToml = {
    expr = panther.toml.toTOML {
      b = 1;
      a = "x\"y\n";
      nothing = null;
      list = [
        1
        { k = true; }
      ];
      t = {
        "with space" = 1.5;
        whole = 4.0;
        empty = { };
        u.v = false;
      };
    };
    expected = "a = \"x\\\"y\\n\"\nb = 1\nlist = [1, { k = true }]\n\n[t]\nwhole = 4.0\n\"with space\" = 1.5\n\n[t.u]\nv = false\n";
  };
}
