# The status page: a folder of files that Caddy serves. index.html and status.json are those of `panther report` (units.nix), units.html and units.json of status.sh.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  panther = import ../../../lib/storage { inherit lib; };
  inherit (panther.options)
    maybeText
    saying
    text
    texts
    withExample
    ;
  cfg = config.services.panther;
  status = cfg.statusPage;
  script = "${pkgs.runtimeShell} ${../../../scripts}";
in
{
  options.services.panther.statusPage = {
    enable = lib.mkEnableOption "a page that shows how the backups of this machine are";
    folder = text "/var/lib/panther-status" "Where the page is written.";
    domain = withExample "backup.hbohlen.systems" (
      maybeText null "Under which name Caddy serves it; `null`: it is only written."
    );
    allow =
      texts [ "private_ranges" ]
        "Who may see it: addresses as Caddy's `remote_ip` takes them. What is there names hosts and paths.";
    of = saying "`nightly`, or the first backup" (
      maybeText cfg.main "Of which backup's repository the page is: all hosts of it with the admin's key, this machine's own with a writer's. `null`: only the units are shown."
    );
    onCalendar = text "hourly" "When `panther report` writes the page. The units' states are written every five minutes.";
  };

  config = lib.mkIf (cfg.enable && status.enable) {
    assertions = lib.optional (!(panther.calendar.isCalendar status.onCalendar)) (
      panther.options.refuse "services.panther.statusPage.onCalendar = “${status.onCalendar}” is none of the forms that panther reads (docs/retention.md): hourly, daily, Sun 04:00, *:0/15, …."
    );
    systemd.services.panther-status = {
      description = "Page of the states of panther's units";
      path = cfg.scriptPath;
      environment = cfg.scriptEnvironment // {
        PANTHER_JOB = "status";
        STATUS_FOLDER = status.folder;
        STATUS_HOST = config.networking.hostName;
      };
      serviceConfig = cfg.hardening // {
        Type = "oneshot";
        ExecStart = "${script}/status.sh";
        StateDirectory = "panther";
        ReadWritePaths = [ status.folder ];
        CapabilityBoundingSet = "";
        RestrictAddressFamilies = "none";
        PrivateNetwork = true;
        UMask = "0022";
      };
    };
    systemd.timers.panther-status = {
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnBootSec = "5min";
        OnUnitActiveSec = "5min";
      };
    };
    systemd.tmpfiles.rules = [ "d ${status.folder} 0755 root root -" ];

    services.caddy = lib.mkIf (status.domain != null) {
      enable = true;
      virtualHosts.${status.domain}.extraConfig = ''
        @others not remote_ip ${lib.concatStringsSep " " status.allow}
        respond @others 403
        root * ${status.folder}
        header Cache-Control "no-store"
        header Content-Security-Policy "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        file_server
      '';
    };
  };
}
