# What the five machines come to.
{ h, lib, ... }:
let
  host = lib.genAttrs h.names h.host;
  points = name: map (s: s.mountpoint) (lib.attrValues host.${name}.panther.storage.subvolumes);
  sorted = lib.sort (a: b: a < b);
  base = [
    "/"
    "/home"
    "/nix"
    "/var/lib/backups"
    "/var/lib/containers"
  ];
  databases = [
    "/var/lib/postgresql"
    "/var/lib/redis"
  ];
  where =
    f: name:
    sorted (
      map (s: s.mountpoint) (lib.filter f (lib.attrValues host.${name}.panther.storage.subvolumes))
    );
  every = f: lib.genAttrs h.names f;
in
{
  testProfiles = {
    expr = every (n: host.${n}.panther.storage.profile);
    expected = {
      zephyrus = "dev-laptop";
      yoga = "light-laptop";
      hetzner = "production-vps";
      contabo = "staging-vps";
      ovh = "utility-vps";
    };
  };
  testSubvolumes = {
    expr = every (n: sorted (points n));
    expected = {
      zephyrus = sorted (
        base
        ++ databases
        ++ [
          "/home/dev"
          "/data"
        ]
      );
      yoga = base;
      hetzner = sorted (base ++ databases ++ [ "/var/log" ]);
      contabo = sorted (base ++ databases ++ [ "/var/log" ]);
      ovh = sorted (base ++ [ "/var/log" ]);
    };
  };
  # Only databases: not /nix, not code.
  testNocow = {
    expr = every (where (s: s.nodatacow));
    expected = {
      zephyrus = databases;
      yoga = [ ];
      hetzner = databases;
      contabo = databases;
      ovh = [ ];
    };
  };
  testRestIsCompressed = {
    expr = lib.unique (
      lib.concatMap (
        n:
        map (s: s.compression) (
          lib.filter (s: !s.nodatacow) (lib.attrValues host.${n}.panther.storage.subvolumes)
        )
      ) h.names
    );
    expected = [ "zstd" ];
  };
  # The requirement's wish is one option away, and takes the compression along.
  testWishOfTheRequirement = {
    expr =
      let
        s =
          (h.hostWith "zephyrus" [
            {
              panther.storage.subvolumes.nix.nodatacow = true;
              panther.storage.subvolumes.dev.nodatacow = true;
            }
          ]).panther.storage.subvolumes;
      in
      [
        s.nix.nodatacow
        s.nix.compression
        s.dev.compression
      ];
    expected = [
      true
      null
      null
    ];
  };
  testTwoPools = {
    expr = every (n: where (s: s.pool == "data") n);
    expected = {
      zephyrus = [
        "/data"
        "/var/lib/backups"
      ];
      yoga = [ ];
      hetzner = [ ];
      contabo = [ ];
      ovh = [ ];
    };
  };
  testNothingIsRefused = {
    expr = every (n: h.failures host.${n});
    expected = every (_: [ ]);
  };
  testRetention = {
    expr = every (
      n:
      let
        r = host.${n}.panther.snapshots.retention;
      in
      [
        r.daily
        r.weekly
        r.monthly
      ]
    );
    expected = {
      zephyrus = [
        7
        4
        12
      ];
      yoga = [
        7
        4
        12
      ];
      hetzner = [
        30
        12
        12
      ];
      contabo = [
        30
        12
        12
      ];
      ovh = [
        30
        12
        12
      ];
    };
  };
  testSnapshotTimers = {
    expr = every (n: host.${n}.systemd.timers.panther-snapshot.timerConfig.OnCalendar);
    expected = {
      zephyrus = "hourly";
      yoga = "hourly";
      hetzner = "*:0/15";
      contabo = "*-*-* 0/2:00";
      ovh = "*-*-* 0/4:00";
    };
  };
  # A laptop tries often and asks whether it is due; a server runs at its time.
  testBackupTimers = {
    expr = every (n: host.${n}.systemd.timers.panther-backup-nightly.timerConfig.OnCalendar);
    expected = {
      zephyrus = "*:0/20";
      yoga = "*:0/20";
      hetzner = "03:30";
      contabo = "04:10";
      ovh = "04:40";
    };
  };
  testDueCheck = {
    expr = every (n: host.${n}.systemd.services.panther-backup-nightly.serviceConfig ? ExecCondition);
    expected = {
      zephyrus = true;
      yoga = true;
      hetzner = false;
      contabo = false;
      ovh = false;
    };
  };
  testNoSilentConditions = {
    expr = lib.any (
      n:
      lib.any (u: lib.any (lib.hasPrefix "Condition") (lib.attrNames u.unitConfig)) (
        lib.attrValues host.${n}.systemd.services
      )
    ) h.names;
    expected = false;
  };
  testInhibitsSleepOnLaptops = {
    expr = every (
      n:
      lib.hasInfix "systemd-inhibit" (
        lib.head host.${n}.systemd.services.panther-backup-nightly.serviceConfig.ExecStart
      )
    );
    expected = {
      zephyrus = true;
      yoga = true;
      hetzner = false;
      contabo = false;
      ovh = false;
    };
  };
  testOneAdmin = {
    expr = every (
      n:
      host.${n}.systemd.timers ? panther-check-nightly
      && host.${n}.systemd.timers ? panther-forget-nightly
    );
    expected = {
      zephyrus = true;
      yoga = false;
      hetzner = false;
      contabo = false;
      ovh = false;
    };
  };
  testHetznersDatabases = {
    expr =
      let
        t = host.hetzner.systemd.timers.panther-backup-databases.timerConfig;
        b = host.hetzner.services.panther.backups.databases;
      in
      {
        inherit (t) OnCalendar Persistent;
        inherit (b) sources;
      };
    expected = {
      OnCalendar = "*:0/15";
      Persistent = true;
      sources = [
        "/var/lib/postgresql"
        "/var/lib/redis"
        "/var/lib/backups/wal"
      ];
    };
  };
  # Each backup asks the databases of its own sources.
  testDatabasesAreAsked = {
    expr = every (n: map (d: d.kind) host.${n}.services.panther.backups.nightly.databases);
    expected = {
      zephyrus = [ ];
      yoga = [ ];
      hetzner = [
        "postgresql"
        "redis"
      ];
      contabo = [
        "postgresql"
        "redis"
      ];
      ovh = [ ];
    };
  };
  testDatabasesByProfile = {
    expr = [
      host.hetzner.services.panther.backups.databases.profile.databases
      (lib.last host.hetzner.systemd.services.panther-backup-databases.serviceConfig.ExecStart)
    ];
    expected = [
      [
        {
          kind = "postgresql";
          name = "postgresql";
          sources = [ "/var/lib/postgresql" ];
        }
        {
          kind = "redis";
          name = "redis";
          client = [
            "setpriv"
            "--reuid=redis-panther"
            "--regid=redis-panther"
            "--clear-groups"
            "redis-cli"
            "-s"
            "/run/redis-panther/redis.sock"
          ];
          sources = [ "/var/lib/redis" ];
        }
      ]
      "/opt/panther/bin/panther --config /etc/panther/config.toml --profile databases backup --snapshot always"
    ];
  };
  # Which jobs each machine has beside its backups: what reads or removes is the admin's.
  testJobs = {
    expr = every (
      n:
      sorted (
        lib.filter (u: !(lib.hasPrefix "backup" u)) (
          map (lib.removePrefix "panther-") (
            lib.filter (lib.hasPrefix "panther-") (lib.attrNames host.${n}.systemd.timers)
          )
        )
      )
    );
    expected =
      let
        all = [
          "audit-nightly"
          "metrics"
          "report-nightly"
          "snapshot"
          "status"
          "watch"
        ];
      in
      every (_: all)
      // {
        zephyrus = sorted (
          all
          ++ [
            "check-nightly"
            "drill-nightly"
            "forget-nightly"
          ]
        );
      };
  };
  testFiguresEveryQuarterOfAnHour = {
    expr = [
      host.hetzner.systemd.timers.panther-metrics.timerConfig.OnUnitActiveSec
      host.hetzner.systemd.services.panther-metrics.serviceConfig.ExecStart
    ];
    expected = [
      "15min"
      [
        "/opt/panther/bin/panther --config /etc/panther/config.toml --profile databases metrics --send"
        "/opt/panther/bin/panther --config /etc/panther/config.toml --profile nightly metrics --send"
      ]
    ];
  };
  # Each host is drilled, and what is drilled starts on the databases' PostgreSQL.
  testDrills = {
    expr =
      let
        command = lib.head host.zephyrus.systemd.services.panther-drill-nightly.serviceConfig.ExecStart;
      in
      map (what: lib.hasInfix what command) (
        map (n: "--each drill --host ${n} --tag nightly") h.names
        ++ [ "--each drill --host hetzner --tag databases --start-postgresql /usr/bin" ]
      );
    expected = [
      true
      true
      true
      true
      true
      true
    ];
  };
  # The archived log is thinned out around each backup of PostgreSQL's data, where there is one.
  testArchiveIsThinnedOut = {
    expr = every (
      n:
      let
        c = host.${n}.systemd.services.panther-backup-nightly.serviceConfig;
      in
      [
        (lib.any (lib.hasInfix "wal-trim.sh before") c.ExecStart)
        (lib.any (lib.hasInfix "wal-trim.sh after /var/lib/backups/wal /var/lib/postgresql") c.ExecStartPost)
      ]
    );
    expected =
      let
        with' = [
          true
          true
        ];
        without = [
          false
          false
        ];
      in
      {
        zephyrus = without;
        yoga = without;
        hetzner = with';
        contabo = with';
        ovh = without;
      };
  };
  # The admin frees what is forgotten, after forgetting.
  testPruneComesLast = {
    expr = lib.hasSuffix "--profile nightly prune" (
      lib.last host.zephyrus.systemd.services.panther-forget-nightly.serviceConfig.ExecStart
    );
    expected = true;
  };
  # Units of panther give away what they do not need; none says nothing of capabilities, which would be all.
  testHardened = {
    expr = lib.concatMap (
      n:
      lib.filter (
        u:
        let
          c = host.${n}.systemd.services.${u}.serviceConfig;
        in
        !(c.NoNewPrivileges or false)
        || (c.CapabilityBoundingSet or null) == null
        || c.CapabilityBoundingSet == [ ]
        # What sets attributes of / writes there.
        || (c.ProtectSystem or "") != "strict" && u != "panther-attributes"
      ) (lib.filter (lib.hasPrefix "panther-") (lib.attrNames host.${n}.systemd.services))
    ) h.names;
    expected = [ ];
  };
  testMonitors = {
    expr = host.hetzner.panther.monitoring.monitorArguments;
    expected = [
      "alerts"
      "--datadog"
      "--runbook"
      "https://github.com/hbohlen/panther/blob/main/docs/runbook.md"
      "--notify"
      "@slack-alerts"
    ];
  };
  # systemd makes no subvolumes of its own inside of /.
  testNoSubvolumesBySystemd = {
    expr = every (
      n: host.${n}.systemd.services.systemd-tmpfiles-setup.environment.SYSTEMD_TMPFILES_FORCE_SUBVOL
    );
    expected = every (_: "0");
  };
  testSecretsOnlyAsCredentials = {
    expr = lib.concatMap (
      n:
      lib.filter (lib.hasInfix "/secrets/") (
        map toString (lib.attrValues host.${n}.systemd.services.panther-backup-nightly.environment)
      )
    ) h.names;
    expected = [ ];
  };
  testConfigHasNoSecretFiles = {
    expr = lib.any (n: lib.hasInfix "secret" host.${n}.services.panther.configText) h.names;
    expected = false;
  };
  testPostgresql = {
    expr =
      let
        s = host.hetzner.services.postgresql.settings;
      in
      [
        s.fsync
        s.full_page_writes
        s.archive_mode
        host.hetzner.services.postgresql.initdbArgs
      ];
    expected = [
      true
      true
      "on"
      [ "--data-checksums" ]
    ];
  };
  testContainers = {
    expr = host.hetzner.virtualisation.containers.storage.settings.storage.driver;
    expected = "overlay";
  };
  testScrubOncePerFileSystem = {
    expr = every (n: host.${n}.services.btrfs.autoScrub.fileSystems);
    expected = {
      zephyrus = [
        "/data"
        "/"
      ];
      yoga = [ "/" ];
      hetzner = [ "/" ];
      contabo = [ "/" ];
      ovh = [ "/" ];
    };
  };
  testStatusPage = {
    expr = lib.attrNames host.hetzner.services.caddy.virtualHosts;
    expected = [ "backup.hbohlen.systems" ];
  };
  testOpnix = {
    expr =
      let
        c = h.hostWith "ovh" [
          {
            services.panther.opnix.panther-password = "op://Infrastructure/panther-ovh/password";
            services.panther.passwordFile = null;
          }
        ];
      in
      {
        file = c.services.panther.backups.nightly.passwordFile;
        inherit (c.services.onepassword-secrets.secrets.panther-password) reference mode;
        after = lib.elem "opnix-secrets.service" c.systemd.services.panther-backup-nightly.after;
      };
    expected = {
      file = "/var/lib/opnix/secrets/panther-password";
      reference = "op://Infrastructure/panther-ovh/password";
      mode = "0400";
      after = true;
    };
  };
}
