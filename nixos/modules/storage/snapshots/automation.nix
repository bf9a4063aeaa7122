# The timer, and the unit that makes snapshots and then thins them out.
{
  config,
  lib,
  ...
}:
let
  inherit (panther.options) option text withExample;
  inherit (lib) types;
  cfg = config.panther.snapshots;
  storage = config.panther.storage;
  service = config.services.panther;
  panther = import ../../../lib/storage { inherit lib; };
  # With a profile the runs are in the history, and figures are sent.
  exe =
    if service.main == null then "${service.package}/bin/panther" else service.command service.main;
  words = lib.escapeShellArgs;
in
{
  options.panther.snapshots = {
    onCalendar = withExample "*:0/15" (
      text "hourly" "When snapshots are made: the part of systemd's calendar expressions described in docs/retention.md."
    );
    delay = withExample "5min" (text "0s" "Up to so much later, always as much on one machine.");
    label = option (types.nullOr (
      types.strMatching "[A-Za-z0-9._-]+"
    )) null "Goes into the names of the snapshots, after the time.";
  };

  config = lib.mkIf (cfg.enable && cfg.subvolumes != [ ]) {
    assertions = [
      {
        assertion = panther.calendar.isCalendar cfg.onCalendar;
        message = "panther.snapshots.onCalendar: “${cfg.onCalendar}” is none of the forms that panther reads (docs/retention.md): hourly, daily, Sun 04:00, *:0/15, ….";
      }
    ]
    ++ lib.optionals (storage.enable && panther.calendar.isCalendar cfg.onCalendar) (
      map panther.options.refuse (
        panther.backup.objectiveProblems {
          what = "panther.snapshots.onCalendar";
          inherit (cfg) onCalendar;
          delayMinutes = panther.calendar.minutes cfg.delay;
          objectiveMinutes = storage.objectives.localMinutes;
          option = "panther.storage.objectives.localMinutes";
        }
      )
    );

    # The folder must be there for the unit to be allowed to write to it and to nothing else.
    systemd.tmpfiles.rules = map (
      s: "d ${panther.subvolumes.inFolder s ".panther"} 0700 root root -"
    ) cfg.subvolumes;

    systemd.timers.panther-snapshot = {
      description = "Local snapshots";
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnCalendar = cfg.onCalendar;
        RandomizedDelaySec = cfg.delay;
        FixedRandomDelay = true;
        Persistent = true;
        AccuracySec = "30s";
      };
    };

    systemd.services.panther-snapshot = {
      description = "Local snapshots of ${lib.concatStringsSep ", " cfg.subvolumes}";
      onFailure = lib.optional service.alerts.enable "panther-alert@%n.service";
      path = service.scriptPath;
      environment = service.scriptEnvironment // {
        PANTHER_JOB = "snapshot";
      };
      unitConfig.RequiresMountsFor = cfg.subvolumes;
      serviceConfig = service.hardening // {
        Type = "oneshot";
        ExecStart = [
          "${exe} snapshot create ${words cfg.subvolumes}${
            lib.optionalString (cfg.label != null) " --label ${lib.escapeShellArg cfg.label}"
          }"
          "${exe} snapshot prune ${words cfg.subvolumes} ${words (panther.snapshots.pruneArguments cfg.retention)}"
        ];
        ExecStopPost = service.recordCommand;
        # Snapshots are made and removed in these folders; the rest of the machine is read-only.
        ReadWritePaths =
          map (s: "-${panther.subvolumes.inFolder s ".panther"}") cfg.subvolumes
          ++ lib.optional (service.metrics.prometheusFolder != null) "-${service.metrics.prometheusFolder}";
        StateDirectory = "panther";
        CacheDirectory = "panther";
        CacheDirectoryMode = "0700";
        CapabilityBoundingSet = [
          "CAP_SYS_ADMIN"
          "CAP_DAC_READ_SEARCH"
          "CAP_FOWNER"
        ];
        PrivateNetwork = service.metrics.dogstatsd == null;
        RestrictAddressFamilies = [
          "AF_UNIX"
        ]
        ++ lib.optionals (service.metrics.dogstatsd != null) [
          "AF_INET"
          "AF_INET6"
        ];
        TimeoutStartSec = "15min";
      };
    };
  };
}
