# Who is told, and how: a unit that fails starts panther-alert@UNIT.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  panther = import ../../../lib/storage { inherit lib; };
  inherit (panther.options)
    flag
    maybeText
    text
    texts
    withExample
    ;
  cfg = config.services.panther;
  script = "${pkgs.runtimeShell} ${../../../scripts}";
in
{
  options.services.panther = {
    alerts = {
      enable = flag true "Tell of units that fail. What is said always goes to the journal, too, with priority err.";
      webhookFile = withExample "/run/secrets/slack-webhook" (
        maybeText null (
          "File with an address that gets a message as JSON, `{\"text\": …}`, as Slack takes it."
        )
      );
      mailTo = maybeText null "An address that gets a mail by `sendmail`, which must be set up.";
      repeatAfter = text "6h" "The same unit is not told of again sooner than this.";
    };
    metrics = {
      dogstatsd = withExample "127.0.0.1:8125" (
        maybeText null "Where figures and events go as DogStatsD datagrams."
      );
      tags = withExample [ "env:production" ] (texts [ ] "Tags of each figure.");
      prometheusFolder = withExample "/var/lib/node-exporter" (
        maybeText null "Folder of the node exporter's textfile collector."
      );
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
          ALERT_REPEAT_SECONDS = toString (panther.calendar.seconds cfg.alerts.repeatAfter);
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
