# Ages grow between runs: `panther metrics --send` tells of them every quarter of an hour.
{ config, lib, ... }:
let
  cfg = config.services.panther;
  names = lib.attrNames (lib.filterAttrs (_: b: b.enable) cfg.backups);
  isWanted =
    cfg.enable
    && names != [ ]
    && (cfg.metrics.dogstatsd != null || cfg.metrics.prometheusFolder != null);
in
{
  config.systemd = lib.mkIf isWanted {
    services.panther-metrics = {
      description = "Figures of the backups of this machine";
      onFailure = lib.optional cfg.alerts.enable "panther-alert@%n.service";
      environment = cfg.scriptEnvironment // {
        PANTHER_JOB = "metrics";
      };
      serviceConfig = cfg.hardening // {
        Type = "oneshot";
        ExecStart = map (name: "${cfg.command name} metrics --send") names;
        # An agent that is away is no failure of the machine: the alert without data tells of that.
        SuccessExitStatus = "3";
        StateDirectory = "panther";
        CacheDirectory = "panther";
        CacheDirectoryMode = "0700";
        # Snapshots are listed by ioctl, and folders of others looked into.
        CapabilityBoundingSet = [
          "CAP_DAC_READ_SEARCH"
          "CAP_SYS_ADMIN"
        ];
        RestrictAddressFamilies = [
          "AF_INET"
          "AF_INET6"
          "AF_UNIX"
        ];
        ReadWritePaths = lib.optional (
          cfg.metrics.prometheusFolder != null
        ) "-${cfg.metrics.prometheusFolder}";
      };
    };
    timers.panther-metrics = {
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnBootSec = "3min";
        OnUnitActiveSec = "15min";
        AccuracySec = "1min";
      };
    };
  };
}
