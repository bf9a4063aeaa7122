# The table of subvolumes, and the second net under their attributes.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (panther.options)
    flag
    oneOf
    option
    saying
    text
    texts
    wanted
    withExample
    ;
  inherit (lib) types;
  cfg = config.panther.storage;
  panther = import ../../../lib/storage { inherit lib; };

  subvolume = types.submodule (
    { name, config, ... }:
    {
      options = {
        subvolume = saying "`@` and the name" (
          text "@${name}" "What the subvolume is called in the top level of its file system."
        );
        mountpoint = wanted types.str "Where it is mounted.";
        pool = oneOf [ "main" "data" ] "main" "On which file system it lies.";
        nodatacow = flag false ''
          Overwrite data in place (`chattr +C` on the empty subvolume) instead of writing it elsewhere. Databases fragment less
          and commit faster. The price: Btrfs keeps no checksums of such files, so damage goes unnoticed unless the database has its own,
          and compresses nothing. Wrong for code and for /nix. Files that are there already keep what they have.
        '';
        compression = saying "`panther.storage.compression`; `null` with `nodatacow`" (
          option
            (types.nullOr (
              types.enum [
                "zstd"
                "lzo"
                "zlib"
                "none"
              ]
            ))
            (if config.nodatacow then null else cfg.compression)
            "The property `compression` of the empty subvolume, which all that is made in it inherits. The level is the kernel's default."
        );
        mountOptions = withExample [ "nosuid" ] (
          texts [ ]
            "Mount options of this subvolume alone. Only those that the kernel keeps for each mount (nosuid, nodev, noexec, ro) work: see docs/nixos/layouts.md."
        );
        mode = option (types.nullOr (
          types.strMatching "[0-7]{3,4}"
        )) null "Mode of its root folder, set when it is made.";
        snapshots = flag false "Whether local snapshots are made of it.";
        exclude = texts [ ] "Patterns of what is left out of backups of it.";
        backup = option (types.nullOr types.bool) null ''
          Whether it is backed up. A subvolume below a folder that is backed up is not in the snapshot of the outer one, so `null`
          (nobody has said) is an error there.
        '';
      };
    }
  );

  script = "${pkgs.runtimeShell} ${../../../scripts}";
in
{
  options.panther.storage.subvolumes =
    option (types.attrsOf subvolume) { }
      "The subvolumes of this machine. Profiles fill the table; a host changes single values.";

  config = lib.mkIf cfg.enable {
    assertions = map panther.options.refuse (panther.subvolumes.problems cfg.subvolumes);

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
      path = config.services.panther.scriptPath;
      environment = config.services.panther.scriptEnvironment // {
        PANTHER_JOB = "attributes";
        PANTHER_ATTRIBUTES = panther.subvolumes.attributeTable cfg.subvolumes;
      };
      serviceConfig = config.services.panther.hardening // {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = "${script}/attributes.sh";
        StateDirectory = "panther";
        # It sets attributes on the roots of all subvolumes, / among them.
        ProtectSystem = false;
        CapabilityBoundingSet = [
          "CAP_DAC_OVERRIDE"
          "CAP_DAC_READ_SEARCH"
          "CAP_FOWNER"
        ];
        RestrictAddressFamilies = [
          "AF_INET"
          "AF_INET6"
          "AF_UNIX"
        ];
      };
    };
  };
}
