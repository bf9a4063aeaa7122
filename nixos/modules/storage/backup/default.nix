# services.panther: backups by timer, in the shape of services.restic.backups.<name>.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (panther.options) flag made;
  inherit (lib) mkOption types;
  cfg = config.services.panther;
  panther = import ../../../lib/storage { inherit lib; };
  script = "${pkgs.runtimeShell} ${../../../scripts}";
in
{
  imports = [
    ./options.nix
    ./units.nix
    ./backblaze.nix
    ./validation.nix
    ./status.nix
  ];

  options.services.panther = {
    enable = lib.mkEnableOption "backups by panther";

    package = mkOption {
      type = types.package;
      default = pkgs.panther;
      defaultText = lib.literalExpression "pkgs.panther";
      description = "The panther to run; the flake's overlay has one.";
    };

    checkConfig = flag true "Look at the configuration file with `panther config check` when the system is built.";

    hardening = made types.attrs "What all units have in common.";
    scriptEnvironment = made (types.attrsOf types.str) "Environment of the scripts beside the program.";
    scriptPath = made (types.listOf types.unspecified) "Programs of the scripts.";
    recordCommand = made types.str "ExecStopPost= of each job: writes down how it went.";
    configText = made types.lines "The configuration file.";
    command = made types.unspecified "The program with a backup's profile, by the backup's name.";
    main = made (types.nullOr types.str) "The backup for which one of them speaks: `nightly`, or the first there is.";
  };

  config = {
    services.panther = {
      # Everything that these jobs do without. What each may write and which capabilities it has is its own.
      hardening = {
        NoNewPrivileges = true;
        ProtectSystem = "strict";
        PrivateTmp = true;
        PrivateDevices = true;
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectProc = "invisible";
        RestrictNamespaces = true;
        RestrictRealtime = true;
        # Not RestrictSUIDSGID: it takes openat2(2) away, with which panther opens nested subvolumes and what it restores.
        LockPersonality = true;
        MemoryDenyWriteExecute = true;
        SystemCallArchitectures = "native";
        SystemCallFilter = [
          "@system-service"
          "~@keyring"
          "~@clock"
          "~@debug"
          "~@module"
          "~@obsolete"
          "~@raw-io"
          "~@reboot"
          "~@swap"
        ];
        SystemCallErrorNumber = "EPERM";
        KeyringMode = "private";
        UMask = "0077";
        # Whoever works at the machine comes first.
        Nice = 15;
        CPUWeight = 20;
        IOWeight = 20;
        IOSchedulingClass = "best-effort";
        IOSchedulingPriority = 7;
      };
      scriptPath = [
        pkgs.bash
        pkgs.coreutils
        pkgs.findutils
        pkgs.gawk
        pkgs.gnugrep
        pkgs.gnused
        pkgs.util-linux
        pkgs.btrfs-progs
        pkgs.e2fsprogs
        pkgs.curl
        cfg.package
      ];
      scriptEnvironment = {
        PANTHER_STATE = "/var/lib/panther";
        # The tags that the program's own figures have, so that one alert finds both.
        PANTHER_TAGS = lib.concatStringsSep "," (
          [ "host:${cfg.writer}" ]
          ++ lib.optional config.panther.storage.enable "class:${config.panther.storage.class}"
          ++ cfg.metrics.tags
        );
      }
      // lib.optionalAttrs (cfg.metrics.dogstatsd != null) {
        PANTHER_DOGSTATSD = cfg.metrics.dogstatsd;
      }
      // lib.optionalAttrs (cfg.metrics.prometheusFolder != null) {
        PANTHER_PROMETHEUS = cfg.metrics.prometheusFolder;
      };
      recordCommand = "${script}/record.sh";
      command =
        name:
        "${cfg.package}/bin/panther --config /etc/panther/config.toml --profile ${lib.escapeShellArg name}";
      main =
        let
          names = lib.attrNames (lib.filterAttrs (_: b: b.enable) cfg.backups);
        in
        if !cfg.enable || names == [ ] then
          null
        else if lib.elem "nightly" names then
          "nightly"
        else
          lib.head names;
      configText = panther.toml.toTOML {
        profiles = lib.mapAttrs (_: b: b.profile) (lib.filterAttrs (_: b: b.enable) cfg.backups);
      };
    };

    environment = lib.mkIf (cfg.enable && cfg.backups != { }) {
      systemPackages = [ cfg.package ];
      etc."panther/config.toml" =
        if cfg.checkConfig then
          {
            source =
              pkgs.runCommand "panther-config.toml"
                {
                  text = cfg.configText;
                  passAsFile = [ "text" ];
                }
                ''
                  ${cfg.package}/bin/panther --config "$textPath" config check
                  cp "$textPath" $out
                '';
          }
        else
          { text = cfg.configText; };
    };
  };
}
