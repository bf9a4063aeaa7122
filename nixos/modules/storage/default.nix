# Storage: disks, subvolumes, local snapshots, backups, monitoring. Everything below is off until panther.storage.enable,
# panther.snapshots.enable or services.panther.enable is set; a profile sets the first two.
{
  config,
  lib,
  ...
}:
let
  inherit (panther.options)
    option
    saying
    text
    wanted
    withExample
    ;
  inherit (lib) mkOption types;
  cfg = config.panther.storage;
  panther = import ../../lib/storage { inherit lib; };
in
{
  imports = [
    ./profiles/laptop.nix
    ./profiles/server.nix
    ./profiles/dev-laptop.nix
    ./profiles/light-laptop.nix
    ./profiles/production-vps.nix
    ./profiles/staging-vps.nix
    ./profiles/utility-vps.nix
    ./disko/laptop-disk.nix
    ./disko/server-disk.nix
    ./disko/single-nvme-disk.nix
    ./disko/dual-nvme-disk.nix
    ./btrfs/subvolumes.nix
    ./btrfs/mount-options.nix
    ./btrfs/compression.nix
    ./fleet.nix
    ./snapshots
    ./backup
    ./monitoring/datadog.nix
    ./monitoring/alerts.nix
    ./monitoring/figures.nix
    ./databases.nix
    ./containers.nix
  ];

  options.panther.storage = {
    enable = lib.mkEnableOption "disks, subvolumes and mount options by panther's profiles";

    facterReport = mkOption {
      type = types.attrs;
      default = config.hardware.facter.report or { };
      defaultText = lib.literalExpression "config.hardware.facter.report";
      description = "What nixos-facter found on this machine. The profile is selected from it.";
    };

    profile = withExample "production-vps" (
      saying "selected from `facterReport`; an error that says what was seen where that is not possible" (
        option (types.enum panther.selectors.names)
          (panther.selectors.select { report = cfg.facterReport; })
          ''
            Which profile this machine gets. A laptop with two NVMe disks is a dev-laptop, with one a light-laptop. Virtual
            servers look alike, so they must say which they are.
          ''
      )
    );

    class = mkOption {
      type = types.enum [
        "laptop"
        "server"
      ];
      default = panther.selectors.classOf cfg.profile;
      defaultText = lib.literalMD "the class of `profile`";
      readOnly = true;
      description = "Laptop or server, as the profile says.";
    };

    objectives = {
      localMinutes = wanted types.ints.positive "How much work may be lost at most when a file is overwritten or removed by mistake: local snapshots are made at least so often.";
      offsiteMinutes = wanted types.ints.positive "How much work may be lost at most when the machine is lost: backups are made at least so often.";
      databaseMinutes =
        option (types.nullOr types.ints.positive) null
          "The same for databases, where they may lose less: the archived log is backed up at least so often. `null`: as everything else.";
      restoreMinutes = wanted types.ints.positive "How long restoring may take. `panther drill` measures it, and status page and figures say whether it is met; no evaluation can promise it, so a machine on which nothing is drilled does not know.";
    };

    workingHours = {
      from = text "08:00" "When somebody begins to work on this machine.";
      to = text "20:00" "When they stop.";
    };
  };

  config = lib.mkIf cfg.enable {
    # Scrubbing reads a whole file system and repairs nothing on one disk, but tells of damage while there is a backup.
    services.btrfs.autoScrub = {
      enable = lib.mkDefault true;
      interval = lib.mkDefault "monthly";
      # Once for each file system, not for each subvolume: any mount point of it does.
      fileSystems = lib.mkDefault (
        map (pool: lib.head (map (s: s.mountpoint) (panther.subvolumes.onPool pool cfg.subvolumes))) (
          lib.unique (map (s: s.pool) (lib.attrValues cfg.subvolumes))
        )
      );
    };
    # A trim a week where discard=async is off; harmless beside it.
    services.fstrim.enable = lib.mkDefault true;
    boot.supportedFilesystems = [ "btrfs" ];
  };
}
