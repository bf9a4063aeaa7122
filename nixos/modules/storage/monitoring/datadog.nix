# Datadog's agent with what it looks at itself, DogStatsD for the rest; Prometheus beside it or instead. Monitors and rules are those of `panther alerts`:
# thresholds that differ by host are the program's objectives, in its configuration.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (panther.options)
    made
    saying
    text
    texts
    withExample
    ;
  inherit (lib) types;
  cfg = config.panther.monitoring;
  service = config.services.panther;
  storage = config.panther.storage;
  panther = import ../../../lib/storage { inherit lib; };
in
{
  options.panther.monitoring = {
    datadog = {
      enable = lib.mkEnableOption "Datadog's agent for storage and backups";
      apiKeyFile = saying "`datadog-api-key` where OpNix writes" (
        text "${service.opnixFolder}/datadog-api-key" "File with the API key, at run time."
      );
      site = text "datadoghq.eu" "Datadog's site.";
      notify = withExample [ "@slack-alerts" ] (texts [ ] "Who is named in the monitors' messages.");
    };
    prometheus.enable = lib.mkEnableOption "the node exporter with panther's figures, and alert rules";
    runbook = text "https://github.com/hbohlen/panther/blob/main/docs/runbook.md" "Where docs/runbook.md can be read; each alert links to its place there.";
    monitorArguments = made (types.listOf types.str) "Arguments of panther that give Datadog's monitors.";
    ruleArguments = made (types.listOf types.str) "Arguments of panther that give Prometheus' rules.";
  };

  config = lib.mkMerge [
    {
      panther.monitoring = {
        monitorArguments = [
          "alerts"
          "--datadog"
          "--runbook"
          cfg.runbook
        ]
        ++ lib.optionals (cfg.datadog.notify != [ ]) [
          "--notify"
          (lib.concatStringsSep " " cfg.datadog.notify)
        ];
        ruleArguments = [
          "alerts"
          "--prometheus"
          "--runbook"
          cfg.runbook
        ];
      };
    }
    (lib.mkIf cfg.datadog.enable {
      services.panther.metrics.dogstatsd = lib.mkDefault "127.0.0.1:8125";
      services.datadog-agent = {
        enable = true;
        inherit (cfg.datadog) apiKeyFile site;
        hostname = lib.mkDefault config.networking.hostName;
        tags = lib.optional storage.enable "profile:${storage.profile}" ++ service.metrics.tags;
        # DogStatsD for this machine only.
        extraConfig = {
          dogstatsd_non_local_traffic = false;
          bind_host = "127.0.0.1";
        };
        checks = {
          btrfs = {
            init_config = { };
            instances = [ { min_collection_interval = 300; } ];
          };
          systemd = {
            init_config = { };
            instances = [
              {
                unit_names =
                  map (n: "panther-backup-${n}.timer") (lib.attrNames service.backups)
                  ++ lib.optional config.panther.snapshots.enable "panther-snapshot.timer";
              }
            ];
          };
        };
      };
    })
    (lib.mkIf cfg.prometheus.enable {
      services.panther.metrics.prometheusFolder = lib.mkDefault "/var/lib/panther-prometheus";
      systemd.tmpfiles.rules = [ "d /var/lib/panther-prometheus 0755 root root -" ];
      services.prometheus.exporters.node = {
        enable = true;
        enabledCollectors = [
          "textfile"
          "btrfs"
          "systemd"
        ];
        extraFlags = [ "--collector.textfile.directory=${service.metrics.prometheusFolder}" ];
      };
      environment.etc."panther/prometheus-rules.json".source =
        pkgs.runCommand "panther-prometheus-rules.json" { }
          "${service.package}/bin/panther ${lib.escapeShellArgs cfg.ruleArguments} >$out";
    })
  ];
}
