# The alert table, once, and its forms: Datadog monitors and Prometheus rules.
{ lib }:
let
  inherit (lib) imap0 mapAttrsToList;

  # Seconds, with room for a night that was missed: age alerts are what tells that nothing runs any more.
  table =
    { backupMaxAgeSeconds, snapshotMaxAgeSeconds, ... }:
    {
      backup-failed = {
        summary = "A panther unit has failed";
        serviceCheck = "panther.unit";
        datadog = "\"panther.unit\".over(\"*\").by(\"host\",\"unit\").last(2).count_by_status()";
        prometheus = "panther_unit_success == 0";
        for = "0m";
        severity = "critical";
      };
      backup-too-old = {
        summary = "The newest backup is too old";
        metric = "panther.backup.age_seconds";
        datadog = "min(last_1h):max:panther.backup.age_seconds{*} by {host,job} > ${toString backupMaxAgeSeconds}";
        prometheus = "panther_backup_age_seconds > ${toString backupMaxAgeSeconds}";
        for = "1h";
        severity = "critical";
      };
      snapshot-too-old = {
        summary = "The newest local snapshot is too old";
        metric = "panther.snapshot.age_seconds";
        datadog = "min(last_30m):max:panther.snapshot.age_seconds{*} by {host} > ${toString snapshotMaxAgeSeconds}";
        prometheus = "panther_snapshot_age_seconds > ${toString snapshotMaxAgeSeconds}";
        for = "30m";
        severity = "critical";
      };
      snapshots-too-many = {
        summary = "More local snapshots than the retention allows";
        metric = "panther.snapshot.over_limit";
        datadog = "min(last_1d):max:panther.snapshot.over_limit{*} by {host} > 0";
        prometheus = "panther_snapshot_over_limit > 0";
        for = "1d";
        severity = "warning";
      };
      attributes-wrong = {
        summary = "A subvolume has lost its attributes (NOCOW, compression)";
        metric = "panther.storage.attributes_wrong";
        datadog = "max(last_1d):max:panther.storage.attributes_wrong{*} by {host} > 0";
        prometheus = "panther_storage_attributes_wrong > 0";
        for = "0m";
        severity = "warning";
      };
      disk-nearly-full = {
        summary = "A Btrfs is nearly full";
        metric = "panther.storage.used_ratio";
        datadog = "max(last_15m):max:panther.storage.used_ratio{*} by {host,pool} > 0.9";
        prometheus = "panther_storage_used_ratio > 0.9";
        for = "15m";
        severity = "warning";
      };
      monitor-silent = {
        summary = "No figures from a host";
        metric = "panther.backup.age_seconds";
        datadog = "max(last_1d):max:panther.backup.age_seconds{*} by {host} < 0";
        noDataMinutes = 1440;
        prometheus = "absent(panther_backup_age_seconds)";
        for = "1d";
        severity = "warning";
      };
    };

  message =
    notify: alert:
    "${alert.summary}: {{host.name}}. See docs/nixos/troubleshooting.md. ${lib.concatStringsSep " " notify}";
in
{
  inherit table;

  # A list of monitors, in the form in which Datadog's API takes them one by one.
  datadogMonitors =
    {
      thresholds,
      notify ? [ ],
      tags ? [ ],
    }:
    mapAttrsToList (name: alert: {
      name = "panther: ${alert.summary}";
      type = if alert ? serviceCheck then "service check" else "query alert";
      query = alert.datadog;
      message = message notify alert;
      tags = [
        "panther"
        "alert:${name}"
      ]
      ++ tags;
      priority = if alert.severity == "critical" then 1 else 3;
      options = {
        notify_no_data = alert ? noDataMinutes;
        include_tags = true;
      }
      // lib.optionalAttrs (alert ? noDataMinutes) { no_data_timeframe = alert.noDataMinutes; }
      // lib.optionalAttrs (alert ? serviceCheck) {
        thresholds = {
          critical = 1;
          warning = 1;
          ok = 1;
        };
      };
    }) (table thresholds);

  # A file for Prometheus' `rule_files`, as data: JSON is YAML.
  prometheusRules =
    { thresholds }:
    {
      groups = [
        {
          name = "panther";
          rules = mapAttrsToList (name: alert: {
            alert = lib.concatStrings (
              imap0 (_: w: "${lib.toUpper (builtins.substring 0 1 w)}${builtins.substring 1 (-1) w}") (
                lib.splitString "-" "panther-${name}"
              )
            );
            expr = alert.prometheus;
            inherit (alert) for;
            labels.severity = alert.severity;
            annotations = { inherit (alert) summary; };
          }) (table thresholds);
        }
      ];
    };
}
