# The table of subvolumes, and the second net under their attributes.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.panther.storage;
  panther = import ../../../lib/storage { inherit lib; };

  subvolume = types.submodule (
    { name, config, ... }:
    {
      options = {
        subvolume = mkOption {
          type = types.str;
          default = "@${name}";
          defaultText = lib.literalMD "`@` and the name";
          description = "What the subvolume is called in the top level of its file system.";
        };
        mountpoint = mkOption {
          type = types.str;
          description = "Where it is mounted.";
        };
        pool = mkOption {
          type = types.enum [
            "main"
            "data"
          ];
          default = "main";
          description = "On which file system it lies.";
        };
        nodatacow = mkOption {
          type = types.bool;
          default = false;
          description = ''
            Overwrite data in place (`chattr +C` on the empty subvolume) instead of writing it elsewhere. Databases fragment less
            and commit faster. The price: Btrfs keeps no checksums of such files, so damage goes unnoticed unless the database has its own,
            and compresses nothing. Wrong for code and for /nix. Files that are there already keep what they have.
          '';
        };
        compression = mkOption {
          type = types.nullOr (
            types.enum [
              "zstd"
              "lzo"
              "zlib"
              "none"
            ]
          );
          default = if config.nodatacow then null else cfg.compression;
          defaultText = lib.literalMD "`panther.storage.compression`; `null` with `nodatacow`";
          description = "The property `compression` of the empty subvolume, which all that is made in it inherits. The level is the kernel's default.";
        };
        mountOptions = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [ "nosuid" ];
          description = "Mount options of this subvolume alone. Only those that the kernel keeps for each mount (nosuid, nodev, noexec, ro) work: see docs/nixos/layouts.md.";
        };
        mode = mkOption {
          type = types.nullOr (types.strMatching "[0-7]{3,4}");
          default = null;
          description = "Mode of its root folder, set when it is made.";
        };
        snapshots = mkOption {
          type = types.bool;
          default = false;
          description = "Whether local snapshots are made of it.";
        };
        exclude = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "Patterns of what is left out of backups of it.";
        };
        backup = mkOption {
          type = types.nullOr types.bool;
          default = null;
          description = ''
            Whether it is backed up. A subvolume below a folder that is backed up is not in the snapshot of the outer one, so `null`
            (nobody has said) is an error there.
          '';
        };
      };
    }
  );

  script = "${pkgs.runtimeShell} ${../../../scripts}";
in
{
  options.panther.storage.subvolumes = mkOption {
    type = types.attrsOf subvolume;
    default = { };
    description = "The subvolumes of this machine. Profiles fill the table; a host changes single values.";
  };

  config = lib.mkIf cfg.enable {
    assertions = map (message: {
      assertion = false;
      inherit message;
    }) (panther.subvolumes.problems cfg.subvolumes);

    # Otherwise systemd makes /srv, /var/lib/machines and others subvolumes inside of /, which are then in no snapshot of it.
    systemd.services.systemd-tmpfiles-setup.environment.SYSTEMD_TMPFILES_FORCE_SUBVOL = "0";
    systemd.services.systemd-tmpfiles-resetup.environment.SYSTEMD_TMPFILES_FORCE_SUBVOL = "0";

    systemd.tmpfiles.rules = panther.subvolumes.tmpfilesRules cfg.subvolumes;

    # tmpfiles sets +C on the folder, which does nothing for what is in it already, and says nothing. This looks and says so.
    systemd.services.panther-attributes = {
      description = "Attributes of Btrfs subvolumes are what the configuration wants";
      wantedBy = [ "multi-user.target" ];
      after = [
        "local-fs.target"
        "systemd-tmpfiles-setup.service"
      ];
      onFailure = lib.optional config.services.panther.alerts.enable "panther-alert@%n.service";
      path = [
        pkgs.bash
        pkgs.coreutils
        pkgs.e2fsprogs
        pkgs.btrfs-progs
        pkgs.gawk
      ];
      environment = config.services.panther.scriptEnvironment // {
        PANTHER_JOB = "attributes";
        PANTHER_ATTRIBUTES = panther.subvolumes.attributeTable cfg.subvolumes;
      };
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = "${script}/attributes.sh";
        StateDirectory = "panther";
      };
    };
  };
}
