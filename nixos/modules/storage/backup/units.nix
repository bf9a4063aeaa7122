# The units and timers of each backup.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    concatMapAttrs
    escapeShellArgs
    filterAttrs
    optional
    optionalAttrs
    optionals
    optionalString
    ;
  cfg = config.services.panther;
  status = cfg.statusPage;
  storage = config.panther.storage;
  panther = import ../../../lib/storage { inherit lib; };
  script = "${pkgs.runtimeShell} ${../../../scripts}";
  enabled = filterAttrs (_: b: b.enable) (if cfg.enable then cfg.backups else { });

  # OpNix writes the secrets; nothing may start before that.
  afterSecrets = optional (config.services.onepassword-secrets.enable or false
  ) "opnix-secrets.service";

  credentials =
    b:
    lib.mapAttrsToList (id: file: "${id}:${file}") (
      filterAttrs (_: v: v != null) {
        panther-password = b.passwordFile;
        panther-identity = b.identityFile;
        panther-b2-key = cfg.b2KeyFile;
        panther-b2-read-key = cfg.b2ReadKeyFile;
      }
    );
  allSources = b: b.sources ++ (if b.paths == null then [ ] else b.paths);
  # A snapshot is made in the subvolume in which the path lies.
  roots =
    b:
    lib.unique (
      map (
        p:
        let
          s = panther.subvolumes.holding storage.subvolumes p;
        in
        if s == null then p else s.mountpoint
      ) (allSources b)
    );
  prometheus = optional (cfg.metrics.prometheusFolder != null) "-${cfg.metrics.prometheusFolder}";
  # Of these the timer itself makes another attempt soon.
  isFrequent =
    b:
    b.dueCheck.enable || (b.onCalendar != null && panther.calendar.maxGapMinutes b.onCalendar <= 360);
  postgresql = config.panther.databases.postgresql;
  # With a base backup the archived log before it can go.
  trims = b: postgresql.enable && lib.elem postgresql.folder (allSources b);
  trim =
    when:
    "${script}/wal-trim.sh ${when} ${
      escapeShellArgs [
        postgresql.walArchive
        postgresql.folder
      ]
    }";
  seconds = text: toString (panther.calendar.seconds text);

  job =
    {
      name,
      b,
      kind,
      arguments,
      capabilities,
      isShort ? false,
      goesOn ? false,
      extra ? { },
    }:
    let
      unit = "panther-${kind}-${name}";
      awake = optionalString (
        b.inhibitsSleep && !isShort
      ) "${pkgs.systemd}/bin/systemd-inhibit --what=sleep:idle --who=panther --why=${kind} --mode=block ";
      # systemd stops at the first that fails.
      commands =
        if goesOn then
          [
            "${script}/each.sh ${cfg.command name}${
              lib.concatMapStrings (a: " --each ${escapeShellArgs a}") arguments
            }"
          ]
        else
          map (a: "${cfg.command name} ${escapeShellArgs a}") arguments;
    in
    {
      description = "panther ${kind}: ${name}";
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ] ++ afterSecrets;
      requires = afterSecrets;
      onFailure = optional cfg.alerts.enable "panther-alert@%n.service";
      path = cfg.scriptPath;
      # A change of the configuration must not begin a backup at noon.
      restartIfChanged = false;
      environment = cfg.scriptEnvironment // {
        PANTHER_JOB = "${kind}-${name}";
        PANTHER_STATE_DIR = "/var/cache/panther";
      };
      unitConfig = {
        # With Restart=: four attempts, then it has failed, and somebody is told.
        StartLimitIntervalSec = "6h";
        StartLimitBurst = 4;
      };
      serviceConfig =
        cfg.hardening
        // {
          Type = "oneshot";
          ExecStart = map (c: awake + c) commands;
          ExecStopPost = cfg.recordCommand;
          LoadCredential = credentials b;
          StateDirectory = "panther";
          CacheDirectory = "panther";
          CacheDirectoryMode = "0700";
          # An empty list would say nothing, which is all of them.
          CapabilityBoundingSet = if capabilities == [ ] then "" else capabilities;
          RestrictAddressFamilies = [
            "AF_INET"
            "AF_INET6"
            "AF_UNIX"
          ];
          TimeoutStartSec = "20h";
          TimeoutStopSec = "2min";
          # 7: the store could not be reached. Everything else would fail again.
          Restart = "on-failure";
          RestartSec = "10min";
          RestartPreventExitStatus = "1 2 3 4 5 6 8 10 11 12 13 14 15 243";
        }
        // extra;
      inherit unit;
    };

  backupUnit =
    name: b:
    let
      made = job {
        inherit name b;
        kind = "backup";
        arguments = [
          (panther.backup.backupArguments {
            inherit (b) snapshot;
            extra = b.extraBackupArgs;
          })
        ];
        capabilities = [
          "CAP_DAC_READ_SEARCH"
          "CAP_SYS_ADMIN"
          "CAP_FOWNER"
        ]
        # To ask PostgreSQL as the owner of its files, and to thin out its archive.
        ++ optionals (b.databases != [ ] || trims b) [
          "CAP_SETUID"
          "CAP_SETGID"
        ];
        extra = {
          ReadWritePaths =
            prometheus
            ++ optionals (b.snapshot != "never") (
              map (r: "-${panther.subvolumes.inFolder r ".panther"}") (roots b)
            )
            ++ optional (inFolder b) b.repository
            ++ optional (trims b) "-${postgresql.walArchive}";
          ExecStartPost = optional (trims b) (trim "after");
          ExecStopPost = optional (b.backupCleanupCommand != null) b.backupCleanupCommand ++ [
            cfg.recordCommand
          ];
        }
        // optionalAttrs b.dueCheck.enable { ExecCondition = "${script}/due.sh"; };
      };
    in
    made
    // {
      path = made.path ++ optionals (b.databases != [ ] || trims b) config.panther.databases.packages;
      environment =
        made.environment
        // optionalAttrs (trims b) { WAL_KEEP_SECONDS = seconds postgresql.walKeep; }
        // optionalAttrs b.dueCheck.enable {
          DUE_AFTER_SECONDS = seconds b.dueCheck.after;
          DUE_CATCH_UP_SECONDS = seconds b.dueCheck.catchUpAfter;
          DUE_IGNORE_BATTERY_SECONDS = seconds b.dueCheck.ignoreBatteryAfter;
          DUE_BUSY_FROM = storage.workingHours.from;
          DUE_BUSY_TO = storage.workingHours.to;
        };
      unitConfig =
        made.unitConfig
        // {
          RequiresMountsFor = allSources b;
        }
        // optionalAttrs (isFrequent b) {
          # The starts of the timer count, too.
          StartLimitIntervalSec = 0;
        };
      # The next attempt comes anyway. No network is no failure until the age of the last success says so.
      serviceConfig =
        made.serviceConfig
        // {
          # Not ExecStartPre=: RestartPreventExitStatus= looks at the main process only, and a missing credential would be tried again in silence.
          ExecStart =
            optional (b.backupPrepareCommand != null) b.backupPrepareCommand
            ++ optional (trims b) (trim "before")
            ++ made.serviceConfig.ExecStart;
        }
        // optionalAttrs (isFrequent b) {
          Restart = "no";
          SuccessExitStatus = "7";
        };
    };

  timer = onCalendar: delay: more: {
    wantedBy = [ "timers.target" ];
    timerConfig = {
      OnCalendar = onCalendar;
      RandomizedDelaySec = delay;
      FixedRandomDelay = true;
      Persistent = true;
      AccuracySec = "1min";
    }
    // more;
  };

  # What is done beside backups, and what each needs more than the others.
  otherJobs = b: {
    check = {
      inherit (b.check) onCalendar;
      arguments = [
        (
          [ "check" ]
          ++ optionals (b.check.readDataSubset != null) [
            "--read-data-subset"
            b.check.readDataSubset
          ]
        )
      ];
    };
    forget = {
      inherit (b.forget) onCalendar;
      arguments = b.forget.arguments ++ optional b.prune.enable b.prune.arguments;
    };
    drill = {
      inherit (b.drill) onCalendar arguments;
      goesOn = true;
      # Owners and attributes are restored, into a folder of the unit's own; what is compared with belongs to everybody; PostgreSQL is started as its owner.
      capabilities = [
        "CAP_DAC_OVERRIDE"
        "CAP_DAC_READ_SEARCH"
        "CAP_CHOWN"
        "CAP_FOWNER"
        "CAP_FSETID"
        "CAP_MKNOD"
        "CAP_SETFCAP"
        "CAP_SETGID"
        "CAP_SETUID"
        "CAP_SYS_ADMIN"
      ];
    };
    audit = {
      inherit (b.audit) onCalendar;
      arguments = [ [ "audit" ] ];
      isShort = true;
      capabilities = [ "CAP_DAC_READ_SEARCH" ];
      # Homes and mounts are what is asked after.
      extra.ProtectProc = "default";
    };
    report = {
      onCalendar = if status.enable && status.of == b.name then status.onCalendar else null;
      arguments = [
        [
          "report"
          "--html"
          status.folder
        ]
      ];
      isShort = true;
      capabilities = [ "CAP_DAC_READ_SEARCH" ];
      extra = {
        ReadWritePaths = prometheus ++ [ status.folder ];
        UMask = "0022";
        # Without a network the page stays as it was, and says how old it is.
        Restart = "no";
        SuccessExitStatus = "7";
      };
    };
  };
  scheduledJobs =
    name: b: filterAttrs (_: j: j.onCalendar != null) (otherJobs (b // { inherit name; }));
  inFolder = b: panther.backup.parseRepository b.repository == null;
  otherUnit =
    name: b: kind: j:
    job (
      {
        inherit name b kind;
        # A repository in a folder may belong to somebody else.
        capabilities = optionals (inFolder b) [ "CAP_DAC_READ_SEARCH" ];
      }
      // removeAttrs j [ "onCalendar" ]
      // {
        extra = {
          ReadWritePaths = prometheus ++ optional (inFolder b) b.repository;
        }
        // (j.extra or { });
      }
    );
in
{
  config = {
    systemd.services = concatMapAttrs (
      name: b:
      let
        unit = backupUnit name b;
        others = lib.mapAttrs' (
          kind: j:
          lib.nameValuePair "panther-${kind}-${name}" (removeAttrs (otherUnit name b kind j) [ "unit" ])
        ) (scheduledJobs name b);
      in
      { ${unit.unit} = removeAttrs unit [ "unit" ]; } // others
    ) enabled;

    systemd.timers = concatMapAttrs (
      name: b:
      optionalAttrs (b.onCalendar != null) {
        "panther-backup-${name}" = timer (
          if b.dueCheck.enable then b.dueCheck.attempts else b.onCalendar
        ) b.delay b.timerConfig;
      }
      // lib.mapAttrs' (
        kind: j: lib.nameValuePair "panther-${kind}-${name}" (timer j.onCalendar b.delay { })
      ) (scheduledJobs name b)
    ) enabled;

    systemd.tmpfiles.rules = lib.unique (
      lib.concatMap (
        b:
        map (r: "d ${panther.subvolumes.inFolder r ".panther"} 0700 root root -") (
          optionals (b.snapshot == "always") (roots b)
        )
      ) (lib.attrValues enabled)
    );
  };
}
