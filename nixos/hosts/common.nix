# What the backups of all five machines share.
{ config, lib, ... }:
let
  host = config.networking.hostName;
  panther = import ../lib/storage { inherit lib; };
in
{
  imports = [ ../fleet.nix ];

  services.panther = {
    enable = true;
    writer = config.panther.fleet.${host}.writer;
    # By OpNix: files below /var/lib/opnix/secrets. Another manager of secrets sets the …File options instead.
    passwordFile = "/var/lib/opnix/secrets/panther-password";
    b2KeyFile = "/var/lib/opnix/secrets/b2-key";
    b2ReadKeyFile = "/var/lib/opnix/secrets/b2-read-key";
    alerts.webhookFile = "/var/lib/opnix/secrets/slack-webhook";
    backups.nightly = {
      repository = "b2://hbohlen-panther/fleet";
      inherit (config.panther.fleet.${host}) role budgetDollars;
      audit.onCalendar = "Mon 06:30";
      sources = panther.subvolumes.backedUp config.panther.storage.subvolumes;
      exclude = [
        "/home/*/.cache"
        "/var/cache"
        "/var/tmp"
        # OpNix writes them anew.
        "/var/lib/opnix"
        "node_modules/"
        "target/debug/"
      ];
    };
    statusPage.enable = true;
  };
  panther.containers.enable = true;
  panther.monitoring.datadog = {
    enable = true;
    notify = [ "@slack-alerts" ];
  };
}
