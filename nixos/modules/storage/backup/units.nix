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
  seconds = text: toString (panther.calendar.seconds text);

  job =
    {
      name,
      b,
      kind,
      arguments,
      capabilities,
      extra ? { },
    }:
    let
      unit = "panther-${kind}-${name}";
      command = "${cfg.package}/bin/panther --config /etc/panther/config.toml --profile ${lib.escapeShellArg name}";
      awake = optionalString b.inhibitsSleep "${pkgs.systemd}/bin/systemd-inhibit --what=sleep:idle --who=panther --why=${kind} --mode=block ";
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
          ExecStart = map (a: "${awake}${command} ${escapeShellArgs a}") arguments;
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
            extra = b.extraBackupArgs ++ panther.backup.databaseArguments b.databases;
          })
        ];
        capabilities = [
          "CAP_DAC_READ_SEARCH"
          "CAP_SYS_ADMIN"
          "CAP_FOWNER"
        ]
        # To ask PostgreSQL as the owner of its files.
        ++ optionals (b.databases != [ ]) [
          "CAP_SETUID"
          "CAP_SETGID"
        ];
        extra = {
          ReadWritePaths =
            prometheus
            ++ optionals (b.snapshot != "never") (
              map (r: "-${panther.subvolumes.inFolder r ".panther"}") (roots b)
            )
            ++ optional (panther.backup.parseRepository b.repository == null) b.repository;
          ExecStartPre = optional (b.backupPrepareCommand != null) b.backupPrepareCommand;
          ExecStopPost = optional (b.backupCleanupCommand != null) b.backupCleanupCommand ++ [
            cfg.recordCommand
          ];
        }
        // optionalAttrs b.dueCheck.enable { ExecCondition = "${script}/due.sh"; };
      };
    in
    made
    // {
      path = made.path ++ optionals (b.databases != [ ]) config.panther.databases.packages;
      environment =
        made.environment
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

  adminJobs = b: {
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
      inherit (b.drill) onCalendar;
      arguments = [ b.drill.arguments ];
    };
  };
  scheduledJobs = b: filterAttrs (_: j: j.onCalendar != null) (adminJobs b);
in
{
  config = {
    systemd.services = concatMapAttrs (
      name: b:
      let
        unit = backupUnit name b;
        others = lib.mapAttrs' (
          kind: j:
          lib.nameValuePair "panther-${kind}-${name}" (
            removeAttrs (job {
              inherit name b kind;
              inherit (j) arguments;
              # A repository in a folder may belong to somebody else.
              capabilities = optionals (panther.backup.parseRepository b.repository == null) [
                "CAP_DAC_READ_SEARCH"
              ];
              extra = {
                # A drill restores owners and attributes, into its own folder.
                ReadWritePaths =
                  prometheus ++ optional (panther.backup.parseRepository b.repository == null) b.repository;
              }
              // optionalAttrs (kind == "drill") {
                CapabilityBoundingSet = [
                  "CAP_DAC_OVERRIDE"
                  "CAP_CHOWN"
                  "CAP_FOWNER"
                  "CAP_FSETID"
                  "CAP_MKNOD"
                  "CAP_SETFCAP"
                  "CAP_SYS_ADMIN"
                ];
                PrivateTmp = true;
              };
            }) [ "unit" ]
          )
        ) (scheduledJobs b);
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
      ) (scheduledJobs b)
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
