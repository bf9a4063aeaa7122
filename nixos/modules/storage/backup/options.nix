# The options of one backup.
{ config, lib, ... }:
let
  inherit (panther.options)
    flag
    made
    maybeText
    oneOf
    option
    runs
    saying
    schedule
    text
    texts
    wanted
    withExample
    ;
  inherit (lib) mkOption types;
  config' = config;
  cfg = config.services.panther;
  storage = config.panther.storage;
  panther = import ../../../lib/storage { inherit lib; };
  secret =
    opnix: fallback: fallbackText: what: example:
    withExample example (
      saying "${fallbackText}, or `${opnix}` where OpNix writes, if `services.panther.opnix` has it" (
        maybeText (if cfg.opnix ? ${opnix} then "${cfg.opnixFolder}/${opnix}" else fallback)
          "File with ${what}: a path at run time, outside the store. The unit gets it as a systemd credential."
      )
    );

  database = types.submodule {
    options = {
      kind = wanted (types.enum [
        "postgresql"
        "redis"
      ]) "What it is.";
      folder = wanted types.str "The source in which it lives.";
      name = maybeText null "What it is called in reports and tags.";
      client = option (types.nullOr (
        types.listOf types.str
      )) null "How it is asked: psql or redis-cli with its options, as words.";
    };
  };

  backup =
    { name, config, ... }:
    {
      options = {
        enable = flag true "Whether this backup is made.";

        repository = withExample "b2://my-bucket/home" (
          wanted types.str "A folder, or `b2://BUCKET/PREFIX`."
        );
        role =
          oneOf [ "writer" "admin" ] "writer"
            "With which of panther's keys this machine works. A writer can neither read nor delete; jobs that must (check, forget, prune, drill) are the admin's; `audit`, the figures and the page do with what it has.";
        passwordFile =
          secret "panther-password" cfg.passwordFile "`services.panther.passwordFile`"
            "the passphrase of the key"
            "/run/secrets/panther-password";
        identityFile =
          secret "panther-identity" null "`null`" "age identities that open the key"
            "/run/secrets/panther-identity";

        sources = withExample [
          "/home"
          "/etc"
        ] (texts [ ] "Mount points of Btrfs subvolumes, and other files and folders.");
        paths = option (types.nullOr (
          types.listOf types.str
        )) null "The name that services.restic has for `sources`; added to them.";
        exclude = withExample [
          "node_modules/"
          "/var/cache"
        ] (texts [ ] "Patterns of what is left out.");
        excludeCaches = flag true "Leave out folders with a CACHEDIR.TAG.";
        oneFileSystem = flag false ''
          Follow nothing that is mounted below a source. Of sources that lie below one another only the outermost is left then; so
          with `/` among them it is better off, and what is not wanted is in `exclude`.
        '';
        excludeUnwanted = saying "with `panther.storage.enable`" (
          flag storage.enable ''
            Leave out the subvolumes with `backup = false`, and with `/` also what is mounted below and is nobody's data: /proc, /run, /boot, /mnt
            and the like. A backup of / follows everything that is mounted below it.
          ''
        );
        snapshot =
          oneOf [ "auto" "always" "never" ] "always"
            "Whether subvolumes are read from snapshots: docs/btrfs.md. With `always` a run fails where none can be made.";
        skipIfUnchanged = flag false "Make no snapshot if nothing has changed.";
        tags = saying "the backup's name" (texts [ name ] "Tags of the snapshots.");
        compression = text "auto" "auto, fastest, default, better, max, or a level from 1 to 19.";

        onCalendar = schedule "03:30" "backups are made";
        delay = text "20min" "Each job begins up to so much later, always as much on one machine.";
        timerConfig = withExample {
          Persistent = false;
        } (option types.attrs { } "More for the timer of the backup, or other values.");
        offPeak = flag true "Refuse times inside panther.storage.workingHours. Off for jobs that are small and frequent.";
        objectiveMinutes = saying "`panther.storage.objectives.offsiteMinutes`" (
          option (types.nullOr types.ints.positive) (
            if storage.enable then storage.objectives.offsiteMinutes else null
          ) "The schedule must be at least so frequent. `null`: anything goes."
        );

        dueCheck = {
          enable = saying "on laptops" (
            flag (storage.enable && storage.class == "laptop") ''
              Try often, and let each attempt look whether a backup is due: a machine that sleeps at night catches up when it is awake,
              and one on battery waits for power. A Condition of systemd would do neither: an attempt that fails a
              Condition counts as made, and nobody hears of it.
            ''
          );
          attempts = text "*:0/20" "When attempts are made.";
          after = text "20h" "A backup is due when the last success is older than this, and the off-peak hours have begun.";
          catchUpAfter = text "30h" "A backup is due at any hour when the last success is older than this.";
          ignoreBatteryAfter = text "4d" "A backup is made on battery, too, when the last success is older than this.";
        };
        inhibitsSleep = saying "on laptops" (
          flag (storage.enable && storage.class == "laptop") "Keep the machine awake while a backup runs."
        );

        retention = saying "7/4/12 on laptops, 30/12/12 on servers: daily, weekly, monthly" (
          option (types.attrsOf (types.either types.int types.str)) (
            if storage.enable then
              panther.snapshots.presets.${storage.class}
            else
              panther.snapshots.presets.server
          ) "What `panther forget` keeps."
        );
        forget = {
          onCalendar = schedule null "`panther forget` is run (admin)";
          arguments =
            withExample
              [
                [
                  "forget"
                  "--host"
                  "web"
                  "--policy"
                  "server"
                ]
              ]
              (
                runs [
                  [ "forget" ]
                ] "Arguments of panther, once for each group of hosts that has rules of its own."
              );
        };
        prune = {
          enable = flag false "Run `panther prune` after forget (admin), so that what is forgotten is freed. A plan that would remove an unusual share stops the unit, and somebody is told.";
          arguments = texts [ "prune" ] "Arguments of panther for pruning.";
        };
        check = {
          onCalendar = schedule null "`panther check` is run (admin)";
          readDataSubset = withExample "2G" (
            maybeText "1/13" "How much data each check reads: 1/13 a week is everything in a quarter."
          );
        };
        drill = {
          onCalendar = schedule null "restoring is drilled (admin)";
          arguments =
            withExample
              [
                [
                  "drill"
                  "--host"
                  "web"
                ]
                [
                  "drill"
                  "--host"
                  "db"
                  "--start-postgresql"
                  "/run/current-system/sw/bin"
                ]
              ]
              (
                runs [
                  [ "drill" ]
                ] "Arguments of panther, once for each drill. All are made, also when one of them finds something."
              );
        };
        audit.onCalendar = schedule null "`panther audit` looks for what nobody backs up, and for what is too old. Gaps are a failure of the unit, so somebody is told";

        databases =
          withExample
            [
              {
                kind = "postgresql";
                folder = "/var/lib/postgresql";
              }
            ]
            (
              saying "those of `panther.databases.list` whose subvolume is among `sources`" (
                option (types.listOf database)
                  (lib.filter (d: lib.elem d.folder config.sources) config'.panther.databases.list)
                  "Databases in the sources, which are made ready before the snapshot (docs/databases.md). A machine's own are in panther.databases.list."
              )
            );
        backupPrepareCommand = maybeText null "A command line before the backup. If it fails, no backup is made.";
        backupCleanupCommand = maybeText null "A command line after the backup, whatever became of it.";
        extraBackupArgs = texts [ ] "More arguments of `panther backup`.";

        limits = {
          upload = text "0" "Bytes a second to the store; 0 is no limit.";
          workingHoursUpload = saying "1 MB/s on laptops" (
            maybeText (
              if storage.enable && storage.class == "laptop" then "1M" else null
            ) "The same during working hours, for backups that catch up."
          );
        };
        budgetDollars =
          option (types.nullOr types.number) null
            "A month that would cost more is warned of at 80 % and stopped at the full sum.";
        warnAgeAfter = text "2d" "Alert when the last success is older than this.";

        settings =
          withExample
            {
              backup.exclude-larger-than = "20GiB";
            }
            (
              option types.attrs { }
                "More of the profile in the configuration file (docs/config.md), or other values."
            );
        profile = made types.attrs "The profile.";
      };

      config.profile =
        let
          b = config;
          all = b.sources ++ (if b.paths == null then [ ] else b.paths);
          isSubvolume = p: lib.any (s: s.mountpoint == p) (lib.attrValues storage.subvolumes);
          given = lib.filterAttrs (_: v: v != null && v != { } && v != [ ]);
          base = {
            inherit (b) repository;
            state-dir = "/var/cache/panther";
            writer = if b.role == "admin" then cfg.writer else null;
            sources = map (p: if isSubvolume p then { subvolume = p; } else { path = p; }) all;
            b2 = given { endpoint = cfg.b2Endpoint; };
            backup = given {
              exclude =
                b.exclude
                ++ lib.concatMap (s: s.exclude) (
                  lib.filter (s: lib.elem s.mountpoint all) (lib.attrValues storage.subvolumes)
                )
                ++ lib.optionals b.excludeUnwanted (panther.subvolumes.unwanted storage.subvolumes all);
              inherit (b) tags compression;
              # What restores and forget ask for, whatever the kernel is told its name is.
              host = config'.networking.hostName;
              exclude-caches = b.excludeCaches;
              one-file-system = b.oneFileSystem;
              skip-if-unchanged = b.skipIfUnchanged;
            };
            inherit (b) retention;
            limits = given {
              inherit (b.limits) upload;
              day =
                if b.limits.workingHoursUpload == null then
                  null
                else
                  {
                    inherit (storage.workingHours) from to;
                    upload = b.limits.workingHoursUpload;
                  };
            };
            budget = lib.optionalAttrs (b.budgetDollars != null) {
              warn-month-dollars = b.budgetDollars * 0.8;
              stop-month-dollars = b.budgetDollars;
            };
            databases = map (
              d:
              given {
                inherit (d) kind name client;
                sources = [ d.folder ];
              }
            ) b.databases;
            # Of what ages are told.
            snapshots = lib.optionalAttrs config'.panther.snapshots.enable {
              inherit (config'.panther.snapshots) subvolumes;
            };
            objective = lib.optionalAttrs storage.enable {
              inherit (storage) class;
              recovery-point = b.warnAgeAfter;
              recovery-time = "${toString storage.objectives.restoreMinutes}min";
            };
            metrics = given {
              prometheus-file =
                if cfg.metrics.prometheusFolder == null then
                  null
                else
                  "${cfg.metrics.prometheusFolder}/panther-${name}.prom";
              inherit (cfg.metrics) dogstatsd;
              dogstatsd-tags = cfg.metrics.tags;
            };
          };
        in
        lib.recursiveUpdate (given base) b.settings;
    };
in
{
  options.services.panther = {
    passwordFile = withExample "/run/secrets/panther-password" (
      maybeText null "File with the passphrase of the key, for all backups that say nothing else."
    );
    writer = mkOption {
      type = types.str;
      default = config.networking.hostName;
      defaultText = lib.literalExpression "config.networking.hostName";
      description = "Under which name this machine writes into repositories, where its key leaves the choice.";
    };
    backups = mkOption {
      type = types.attrsOf (types.submodule backup);
      default = { };
      example = {
        nightly = {
          repository = "b2://my-bucket/home";
          sources = [ "/home" ];
          passwordFile = "/run/secrets/panther-password";
        };
      };
      description = "Backups by name: a profile of the configuration file, a unit and a timer each.";
    };
  };
}
