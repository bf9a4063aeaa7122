# Who is told, and how: a unit that fails starts panther-alert@UNIT.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.panther;
  script = "${pkgs.runtimeShell} ${../../../scripts}";
in
{
  options.services.panther = {
    alerts = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Tell of units that fail. What is said always goes to the journal, too, with priority err.";
      };
      webhookFile = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/run/secrets/slack-webhook";
        description = "File with an address that gets a message as JSON, `{\"text\": …}`, as Slack takes it.";
      };
      mailTo = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "An address that gets a mail by `sendmail`, which must be set up.";
      };
      repeatAfter = mkOption {
        type = types.str;
        default = "6h";
        description = "The same unit is not told of again sooner than this.";
      };
    };
    metrics = {
      dogstatsd = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "127.0.0.1:8125";
        description = "Where figures and events go as DogStatsD datagrams.";
      };
      tags = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "env:production" ];
        description = "Tags of each figure.";
      };
      prometheusFolder = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/var/lib/node-exporter";
        description = "Folder of the node exporter's textfile collector.";
      };
    };
  };

  config = lib.mkIf ((cfg.enable || config.panther.storage.enable) && cfg.alerts.enable) {
    systemd.services."panther-alert@" = {
      description = "Tell of %i";
      path = cfg.scriptPath ++ [ pkgs.systemd ];
      environment =
        cfg.scriptEnvironment
        // {
          PANTHER_JOB = "alert";
          ALERT_REPEAT_SECONDS = toString (
            (import ../../../lib/storage { inherit lib; }).calendar.seconds cfg.alerts.repeatAfter
          );
          ALERT_HOST = config.networking.hostName;
        }
        // lib.optionalAttrs (cfg.alerts.mailTo != null) { ALERT_MAIL_TO = cfg.alerts.mailTo; };
      serviceConfig =
        removeAttrs cfg.hardening [
          "Nice"
          "CPUWeight"
          "IOWeight"
          "IOSchedulingClass"
          "IOSchedulingPriority"
        ]
        // {
          Type = "oneshot";
          ExecStart = "${script}/alert.sh %i";
          StateDirectory = "panther";
          LoadCredential = lib.optional (cfg.alerts.webhookFile != null) "webhook:${cfg.alerts.webhookFile}";
          # To read the journal of the unit.
          CapabilityBoundingSet = [ "CAP_DAC_READ_SEARCH" ];
          RestrictAddressFamilies = [
            "AF_INET"
            "AF_INET6"
            "AF_UNIX"
          ];
        };
    };
  };
}
