# The status page: a folder of files that Caddy serves.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.panther;
  status = cfg.statusPage;
  script = "${pkgs.runtimeShell} ${../../../scripts}";
in
{
  options.services.panther.statusPage = {
    enable = lib.mkEnableOption "a page that shows how the backups of this machine are";
    folder = mkOption {
      type = types.str;
      default = "/var/lib/panther-status";
      description = "Where the page is written.";
    };
    domain = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "backup.hbohlen.systems";
      description = "Under which name Caddy serves it; `null`: it is only written.";
    };
    allow = mkOption {
      type = types.listOf types.str;
      default = [ "private_ranges" ];
      description = "Who may see it: addresses as Caddy's `remote_ip` takes them. What is there names hosts and paths.";
    };
    report = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "report"
        "--html"
        "/var/lib/panther-status/report"
      ];
      description = "Arguments with which panther writes a report of its own besides. Needs a panther that has the command.";
    };
  };

  config = lib.mkIf (cfg.enable && status.enable) {
    systemd.services.panther-status = {
      description = "Status page of the backups";
      path = cfg.scriptPath;
      environment = cfg.scriptEnvironment // {
        PANTHER_JOB = "status";
        STATUS_FOLDER = status.folder;
        STATUS_HOST = config.networking.hostName;
      };
      serviceConfig = cfg.hardening // {
        Type = "oneshot";
        ExecStart = [
          "${script}/status.sh"
        ]
        ++
          lib.optional (status.report != [ ])
            "${cfg.package}/bin/panther --config /etc/panther/config.toml ${lib.escapeShellArgs status.report}";
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
        header Content-Security-Policy "default-src 'none'; style-src 'unsafe-inline'"
        file_server
      '';
    };
  };
}
