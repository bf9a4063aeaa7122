# What is refused before anything is built, and the eye on what should have happened.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    concatLists
    mapAttrsToList
    optional
    optionals
    ;
  cfg = config.services.panther;
  storage = config.panther.storage;
  panther = import ../../../lib/storage { inherit lib; };
  enabled = lib.filterAttrs (_: b: b.enable) cfg.backups;
  fail = panther.options.refuse;
  delay = b: panther.calendar.minutes b.delay;
  script = "${pkgs.runtimeShell} ${../../../scripts}";

  calendars =
    name: b:
    map
      (
        what:
        fail "services.panther.backups.${name}: ${what.option} = “${what.value}” is none of the forms that panther reads (docs/retention.md): hourly, daily, Sun 04:00, *:0/15, …."
      )
      (
        lib.filter (w: w.value != null && !(panther.calendar.isCalendar w.value)) (
          [
            {
              option = "onCalendar";
              value = b.onCalendar;
            }
          ]
          ++
            map
              (kind: {
                option = "${kind}.onCalendar";
                value = b.${kind}.onCalendar;
              })
              [
                "audit"
                "check"
                "drill"
                "forget"
              ]
        )
      );

  schedule =
    name: b:
    optionals (b.onCalendar != null && panther.calendar.isCalendar b.onCalendar) (
      map fail (
        optionals b.offPeak (
          panther.backup.workingHoursProblems {
            inherit name;
            inherit (b) onCalendar;
            delayMinutes = delay b;
            inherit (storage) workingHours;
          }
        )
        ++ panther.backup.clockChangeProblems {
          inherit name;
          inherit (b) onCalendar;
        }
        ++ optionals (b.objectiveMinutes != null) (
          panther.backup.objectiveProblems {
            what = "services.panther.backups.${name}.onCalendar";
            inherit (b) onCalendar;
            delayMinutes = delay b;
            inherit (b) objectiveMinutes;
            option = "services.panther.backups.${name}.objectiveMinutes, from panther.storage.objectives";
          }
        )
      )
    );

  inStore =
    option: file:
    optional (panther.backup.isInStore file) (
      fail "${option} is ${file}, in the store, which everybody on this machine can read, and which is copied to caches: name a file that exists at run time only, as a string, such as \"/run/secrets/panther-password\"."
    );
  secrets =
    name: b:
    inStore "services.panther.backups.${name}.passwordFile" b.passwordFile
    ++ inStore "services.panther.backups.${name}.identityFile" b.identityFile
    ++ optional (b.passwordFile == null && b.identityFile == null) (
      fail "services.panther.backups.${name}: nothing opens the repository: set passwordFile or identityFile, or services.panther.opnix.panther-password."
    );

  sources =
    name: b:
    let
      all = b.sources ++ (if b.paths == null then [ ] else b.paths);
    in
    optional (all == [ ]) (
      fail "services.panther.backups.${name}.sources is empty: there is nothing to back up."
    )
    ++ map (
      s:
      fail "services.panther.backups.${name} backs up ${
        lib.concatStringsSep ", " (lib.filter (p: panther.subvolumes.isBelow p s.mountpoint) all)
      }, but the subvolume ${s.mountpoint} below is not in its snapshot, and nobody has said whether it is backed up: add it to sources, or set panther.storage.subvolumes.${
        lib.head (
          lib.filter (n: storage.subvolumes.${n}.mountpoint == s.mountpoint) (
            lib.attrNames storage.subvolumes
          )
        )
      }.backup = false."
    ) (optionals storage.enable (panther.subvolumes.leftOut storage.subvolumes all));

  roles =
    name: b:
    optional
      (
        b.role == "writer"
        && (b.check.onCalendar != null || b.forget.onCalendar != null || b.drill.onCalendar != null)
      )
      (
        fail "services.panther.backups.${name}: check, forget, prune and drill take the admin's key, and role is writer. Set their onCalendar on the admin's machine."
      );

  money =
    name: b:
    optional (b.budgetDollars != null && b.budgetDollars > config.panther.budget.limitDollars) (
      fail "services.panther.backups.${name}.budgetDollars is ${builtins.toJSON b.budgetDollars}, over the limit of ${builtins.toJSON config.panther.budget.limitDollars} for all machines together (panther.budget.limitDollars)."
    );

  each =
    name: b:
    calendars name b
    ++ schedule name b
    ++ secrets name b
    ++ sources name b
    ++ roles name b
    ++ money name b
    ++ map fail (panther.snapshots.problems "services.panther.backups.${name}.retention" b.retention);

  # A job that is missed once is no alarm; a backup says itself how old it may get.
  ages =
    let
      line = job: seconds: "${job} ${toString seconds}\n";
      others =
        name: b:
        map
          (
            kind:
            let
              inherit (b.${kind}) onCalendar;
            in
            lib.optionalString (onCalendar != null && panther.calendar.isCalendar onCalendar) (
              line "${kind}-${name}" (2 * 60 * (panther.calendar.maxGapMinutes onCalendar + delay b))
            )
          )
          [
            "audit"
            "check"
            "drill"
            "forget"
          ];
    in
    lib.concatStrings (
      concatLists (
        mapAttrsToList (
          name: b: [ (line "backup-${name}" (panther.calendar.seconds b.warnAgeAfter)) ] ++ others name b
        ) enabled
      )
    );
  snapshots = config.panther.snapshots;
in
{
  config = lib.mkIf cfg.enable {
    assertions =
      concatLists (mapAttrsToList each enabled)
      ++ inStore "services.panther.b2KeyFile" cfg.b2KeyFile
      ++ inStore "services.panther.b2ReadKeyFile" cfg.b2ReadKeyFile
      ++ inStore "services.panther.alerts.webhookFile" cfg.alerts.webhookFile;

    # What never ran cannot fail: the ages of the last successes are looked at by a unit of its own.
    systemd.services.panther-watch = {
      description = "Ages of backups and snapshots, room on the disks";
      onFailure = optional cfg.alerts.enable "panther-alert@%n.service";
      path = cfg.scriptPath;
      environment = cfg.scriptEnvironment // {
        PANTHER_JOB = "watch";
        WATCH_JOBS = ages;
        WATCH_SNAPSHOTS = lib.optionalString snapshots.enable (
          lib.concatStringsSep "\n" snapshots.subvolumes
        );
        WATCH_SNAPSHOT_AGE_SECONDS = lib.optionalString snapshots.enable (
          toString (
            60
            * 3
            * panther.snapshots.worstAgeMinutes {
              inherit (snapshots) onCalendar;
              delayMinutes = panther.calendar.minutes snapshots.delay;
            }
          )
        );
        WATCH_SNAPSHOT_LIMIT = lib.optionalString snapshots.enable (
          toString (panther.snapshots.countAtMost snapshots.retention + 2)
        );
        WATCH_FULL = lib.concatMapStrings (s: "${s.mountpoint}\n") (
          lib.filter (s: s.mountpoint == "/" || s.mountpoint == "/data") (lib.attrValues storage.subvolumes)
        );
      };
      serviceConfig = cfg.hardening // {
        Type = "oneshot";
        ExecStart = "${script}/watch.sh";
        StateDirectory = "panther";
        CapabilityBoundingSet = [ "CAP_DAC_READ_SEARCH" ];
        RestrictAddressFamilies = [
          "AF_INET"
          "AF_INET6"
          "AF_UNIX"
        ];
        ReadWritePaths = optional (cfg.metrics.prometheusFolder != null) "-${cfg.metrics.prometheusFolder}";
      };
    };
    systemd.timers.panther-watch = {
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnBootSec = "10min";
        OnUnitActiveSec = "15min";
        AccuracySec = "1min";
      };
    };
  };
}
