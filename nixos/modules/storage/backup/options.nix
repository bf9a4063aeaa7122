# The options of one backup.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  config' = config;
  cfg = config.services.panther;
  storage = config.panther.storage;
  panther = import ../../../lib/storage { inherit lib; };
  secret =
    opnix: fallback: fallbackText: what: example:
    mkOption {
      type = types.nullOr types.str;
      default = if cfg.opnix ? ${opnix} then "${cfg.opnixFolder}/${opnix}" else fallback;
      defaultText = lib.literalMD "${fallbackText}, or `${opnix}` where OpNix writes, if `services.panther.opnix` has it";
      inherit example;
      description = "File with ${what}: a path at run time, outside the store. The unit gets it as a systemd credential.";
    };
  timer =
    default: what:
    mkOption {
      type = types.nullOr types.str;
      inherit default;
      description = "When ${what}; `null`: never.";
    };

  backup =
    { name, config, ... }:
    {
      options = {
        enable = mkOption {
          type = types.bool;
          default = true;
          description = "Whether this backup is made.";
        };

        repository = mkOption {
          type = types.str;
          example = "b2://my-bucket/home";
          description = "A folder, or `b2://BUCKET/PREFIX`.";
        };
        role = mkOption {
          type = types.enum [
            "writer"
            "admin"
          ];
          default = "writer";
          description = "With which of panther's keys this machine works. A writer can neither read nor delete; jobs that must (check, forget, prune, drill) are the admin's.";
        };
        passwordFile =
          secret "panther-password" cfg.passwordFile "`services.panther.passwordFile`"
            "the passphrase of the key"
            "/run/secrets/panther-password";
        identityFile =
          secret "panther-identity" null "`null`" "age identities that open the key"
            "/run/secrets/panther-identity";

        sources = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [
            "/home"
            "/etc"
          ];
          description = "Mount points of Btrfs subvolumes, and other files and folders.";
        };
        paths = mkOption {
          type = types.nullOr (types.listOf types.str);
          default = null;
          description = "The name that services.restic has for `sources`; added to them.";
        };
        exclude = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [
            "node_modules/"
            "/var/cache"
          ];
          description = "Patterns of what is left out.";
        };
        excludeCaches = mkOption {
          type = types.bool;
          default = true;
          description = "Leave out folders with a CACHEDIR.TAG.";
        };
        oneFileSystem = mkOption {
          type = types.bool;
          default = false;
          description = ''
            Follow nothing that is mounted below a source. Of sources that lie below one another only the outermost is left then; so
            with `/` among them it is better off, and what is not wanted is in `exclude`.
          '';
        };
        excludeUnwanted = mkOption {
          type = types.bool;
          default = storage.enable;
          defaultText = lib.literalMD "with `panther.storage.enable`";
          description = ''
            Leave out the subvolumes with `backup = false`, and with `/` also what is mounted below and is nobody's data: /proc, /run, /boot, /mnt
            and the like. A backup of / follows everything that is mounted below it.
          '';
        };
        snapshot = mkOption {
          type = types.enum [
            "auto"
            "always"
            "never"
          ];
          default = "always";
          description = "Whether subvolumes are read from snapshots: docs/btrfs.md. With `always` a run fails where none can be made.";
        };
        skipIfUnchanged = mkOption {
          type = types.bool;
          default = false;
          description = "Make no snapshot if nothing has changed.";
        };
        tags = mkOption {
          type = types.listOf types.str;
          default = [ name ];
          defaultText = lib.literalMD "the backup's name";
          description = "Tags of the snapshots.";
        };
        compression = mkOption {
          type = types.str;
          default = "auto";
          description = "auto, fastest, default, better, max, or a level from 1 to 19.";
        };

        onCalendar = timer "03:30" "backups are made";
        delay = mkOption {
          type = types.str;
          default = "20min";
          description = "Each job begins up to so much later, always as much on one machine.";
        };
        timerConfig = mkOption {
          type = types.attrs;
          default = { };
          example = {
            Persistent = false;
          };
          description = "More for the timer of the backup, or other values.";
        };
        offPeak = mkOption {
          type = types.bool;
          default = true;
          description = "Refuse times inside panther.storage.workingHours. Off for jobs that are small and frequent.";
        };
        objectiveMinutes = mkOption {
          type = types.nullOr types.ints.positive;
          default = if storage.enable then storage.objectives.offsiteMinutes else null;
          defaultText = lib.literalMD "`panther.storage.objectives.offsiteMinutes`";
          description = "The schedule must be at least so frequent. `null`: anything goes.";
        };

        dueCheck = {
          enable = mkOption {
            type = types.bool;
            default = storage.enable && storage.class == "laptop";
            defaultText = lib.literalMD "on laptops";
            description = ''
              Try often, and let each attempt look whether a backup is due: a machine that sleeps at night catches up when it is awake,
              and one on battery waits for power. A Condition of systemd would do neither: an attempt that fails a
              Condition counts as made, and nobody hears of it.
            '';
          };
          attempts = mkOption {
            type = types.str;
            default = "*:0/20";
            description = "When attempts are made.";
          };
          after = mkOption {
            type = types.str;
            default = "20h";
            description = "A backup is due when the last success is older than this, and the off-peak hours have begun.";
          };
          catchUpAfter = mkOption {
            type = types.str;
            default = "30h";
            description = "A backup is due at any hour when the last success is older than this.";
          };
          ignoreBatteryAfter = mkOption {
            type = types.str;
            default = "4d";
            description = "A backup is made on battery, too, when the last success is older than this.";
          };
        };
        inhibitsSleep = mkOption {
          type = types.bool;
          default = storage.enable && storage.class == "laptop";
          defaultText = lib.literalMD "on laptops";
          description = "Keep the machine awake while a backup runs.";
        };

        retention = mkOption {
          type = types.attrsOf (types.either types.int types.str);
          default =
            if storage.enable then
              panther.snapshots.presets.${storage.class}
            else
              panther.snapshots.presets.server;
          defaultText = lib.literalMD "7/4/12 on laptops, 30/12/12 on servers: daily, weekly, monthly";
          description = "What `panther forget` keeps.";
        };
        forget = {
          onCalendar = timer null "`panther forget` is run (admin)";
          arguments = mkOption {
            type = types.listOf (types.listOf types.str);
            default = [ [ "forget" ] ];
            example = [
              [
                "forget"
                "--host"
                "web"
                "--policy"
                "server"
              ]
            ];
            description = "Arguments of panther, once for each group of hosts that has rules of its own.";
          };
        };
        prune = {
          enable = mkOption {
            type = types.bool;
            default = false;
            description = "Run `panther prune` after forget (admin), so that what is forgotten is freed. A plan that would remove an unusual share stops the unit, and somebody is told.";
          };
          arguments = mkOption {
            type = types.listOf types.str;
            default = [ "prune" ];
            description = "Arguments of panther for pruning.";
          };
        };
        check = {
          onCalendar = timer null "`panther check` is run (admin)";
          readDataSubset = mkOption {
            type = types.nullOr types.str;
            default = "1/13";
            example = "2G";
            description = "How much data each check reads: 1/13 a week is everything in a quarter.";
          };
        };
        drill = {
          onCalendar = timer null "restoring is drilled (admin)";
          arguments = mkOption {
            type = types.listOf types.str;
            default = [ "drill" ];
            description = "Arguments of panther for a drill. Needs a panther that has the command.";
          };
        };

        databases = mkOption {
          type = types.listOf (types.attrsOf types.str);
          default = lib.filter (
            d:
            let
              s = panther.subvolumes.holding storage.subvolumes d.folder;
            in
            s != null && lib.elem s.mountpoint config.sources
          ) config'.panther.databases.list;
          defaultText = lib.literalMD "those of `panther.databases.list` whose subvolume is among `sources`";
          example = [
            {
              kind = "postgresql";
              folder = "/var/lib/postgresql";
            }
          ];
          description = "Databases in the sources, as `--database` has them (docs/databases.md); panther.databases.list is what this machine has.";
        };
        backupPrepareCommand = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "A command line before the backup. If it fails, no backup is made.";
        };
        backupCleanupCommand = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "A command line after the backup, whatever became of it.";
        };
        extraBackupArgs = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "More arguments of `panther backup`.";
        };

        limits = {
          upload = mkOption {
            type = types.str;
            default = "0";
            description = "Bytes a second to the store; 0 is no limit.";
          };
          workingHoursUpload = mkOption {
            type = types.nullOr types.str;
            default = if storage.enable && storage.class == "laptop" then "1M" else null;
            defaultText = lib.literalMD "1 MB/s on laptops";
            description = "The same during working hours, for backups that catch up.";
          };
        };
        budgetDollars = mkOption {
          type = types.nullOr types.number;
          default = null;
          description = "A month that would cost more is warned of at 80 % and stopped at the full sum.";
        };
        warnAgeAfter = mkOption {
          type = types.str;
          default = "2d";
          description = "Alert when the last success is older than this.";
        };

        settings = mkOption {
          type = types.attrs;
          default = { };
          example = {
            backup.exclude-larger-than = "20GiB";
          };
          description = "More of the profile in the configuration file (docs/config.md), or other values.";
        };
        profile = mkOption {
          type = types.attrs;
          internal = true;
          readOnly = true;
          description = "The profile.";
        };
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
              free-egress-only = true;
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
    passwordFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/run/secrets/panther-password";
      description = "File with the passphrase of the key, for all backups that say nothing else.";
    };
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
