# Datadog's agent with what it looks at itself, DogStatsD for the rest; Prometheus beside it or instead.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.panther.monitoring;
  service = config.services.panther;
  storage = config.panther.storage;
  panther = import ../../../lib/storage { inherit lib; };
  thresholds = {
    backupMaxAgeSeconds = lib.foldl' lib.max 0 (
      map (b: panther.calendar.seconds b.warnAgeAfter) (lib.attrValues service.backups)
    );
    snapshotMaxAgeSeconds =
      60
      * 3
      * panther.snapshots.worstAgeMinutes {
        inherit (config.panther.snapshots) onCalendar;
        delayMinutes = panther.calendar.minutes config.panther.snapshots.delay;
      };
  };
in
{
  options.panther.monitoring = {
    datadog = {
      enable = lib.mkEnableOption "Datadog's agent for storage and backups";
      apiKeyFile = mkOption {
        type = types.str;
        default = "${service.opnixFolder}/datadog-api-key";
        defaultText = lib.literalMD "`datadog-api-key` where OpNix writes";
        description = "File with the API key, at run time.";
      };
      site = mkOption {
        type = types.str;
        default = "datadoghq.eu";
        description = "Datadog's site.";
      };
      notify = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "@slack-alerts" ];
        description = "Who is named in the monitors' messages.";
      };
    };
    prometheus.enable = lib.mkEnableOption "the node exporter with panther's figures, and alert rules";
    monitors = mkOption {
      type = types.listOf types.attrs;
      internal = true;
      readOnly = true;
      description = "Monitors as Datadog's API takes them.";
    };
    rules = mkOption {
      type = types.attrs;
      internal = true;
      readOnly = true;
      description = "Rules for Prometheus.";
    };
  };

  config = lib.mkMerge [
    {
      panther.monitoring = {
        monitors = panther.monitoring.datadogMonitors {
          inherit thresholds;
          inherit (cfg.datadog) notify;
          tags = [ "host:${config.networking.hostName}" ];
        };
        rules = panther.monitoring.prometheusRules { inherit thresholds; };
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
      environment.etc."panther/prometheus-rules.json".text = builtins.toJSON cfg.rules;
    })
  ];
}
