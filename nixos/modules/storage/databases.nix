# PostgreSQL and Redis so that a snapshot of their subvolume is a consistent backup, and PostgreSQL to any point in time.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (panther.options)
    flag
    made
    saying
    text
    ;
  inherit (lib) mkOption types;
  cfg = config.panther.databases;
  storage = config.panther.storage;
  panther = import ../../lib/storage { inherit lib; };
  script = "${pkgs.runtimeShell} ${../../scripts}";
  subvolumeOf = path: panther.subvolumes.holding storage.subvolumes path;
  own =
    name: dataDir:
    let
      s = subvolumeOf dataDir;
    in
    {
      assertion = s != null && s.mountpoint != "/" && s.mountpoint != "/home";
      message = "panther.databases.${name}: its files are in ${dataDir}, which lies in the subvolume ${
        if s == null then "of nobody" else s.mountpoint
      } and not in one of its own. Snapshots would fragment it, and it could not be left out or restored by itself: set panther.databases.${name}.subvolume = true, or move its data.";
    };
  objective = storage.objectives.databaseMinutes;
  archiving = lib.filter (
    b:
    b.enable
    && b.onCalendar != null
    && lib.any (p: panther.subvolumes.isBelow p cfg.postgresql.walArchive) b.sources
  ) (lib.attrValues config.services.panther.backups);
  worst =
    b:
    panther.calendar.maxGapMinutes b.onCalendar
    + panther.calendar.minutes b.delay
    + panther.calendar.minutes cfg.postgresql.archiveTimeout;
  postgresDir = config.services.postgresql.dataDir or cfg.postgresql.folder;
in
{
  options.panther.databases = {
    postgresql = {
      subvolume = flag false "A subvolume /var/lib/postgresql without copy-on-write.";
      enable = lib.mkEnableOption "PostgreSQL with checksums, and its log archived for point-in-time recovery";
      folder = text "/var/lib/postgresql" "Where PostgreSQL keeps its data; log and tablespaces must be below, so that one snapshot holds all.";
      walArchive = text "/var/lib/backups/wal" "Where finished segments of the log are copied. It is backed up by itself, often.";
      walKeep = text "2d" "Archived segments that the newest backup of the data does not need go when they are older than this. Points in time before that backup are then reached from older snapshots of the archive.";
      archiveTimeout = text "10min" "A segment is finished at the latest after so long, even if it is not full.";
    };
    redis = {
      subvolume = flag false "A subvolume /var/lib/redis without copy-on-write.";
      enable = lib.mkEnableOption "Redis with an append-only file, so that a snapshot is consistent";
      folder = text "/var/lib/redis" "The subvolume below which the servers' folders are.";
      server = text "panther" "The server's name in services.redis.servers; its data are in FOLDER/NAME.";
      user = saying "`redis-` and the server's name" (
        text "redis-${cfg.redis.server}" "As whom the server runs."
      );
      socket = saying "where NixOS has it" (
        text "/run/redis-${cfg.redis.server}/redis.sock" "The server's socket."
      );
    };
    packages = mkOption {
      type = types.listOf types.unspecified;
      internal = true;
      default =
        lib.optional (
          cfg.postgresql.enable && config.services.postgresql ? package
        ) config.services.postgresql.package
        ++ lib.optional (cfg.redis.enable && config.services.redis ? package) config.services.redis.package;
      defaultText = lib.literalMD "those of the servers";
      description = "Where psql and redis-cli are.";
    };
    prepare = flag true ''
      Let `panther backup --database` ask PostgreSQL for a checkpoint and Redis for its file before the snapshot (docs/databases.md).
      Without it the snapshot is what a power cut would leave: PostgreSQL and an append-only file of Redis recover from that. A
      database that cannot be asked is left out of that backup, and somebody is told.
    '';
    list = made (types.listOf types.attrs) "The databases of this machine, as `services.panther.backups.<name>.databases` has them.";
  };

  config = lib.mkMerge [
    {
      panther.databases.list = lib.optionals cfg.prepare (
        lib.optional cfg.postgresql.enable {
          kind = "postgresql";
          name = "postgresql";
          inherit (cfg.postgresql) folder;
        }
        ++ lib.optional cfg.redis.enable {
          kind = "redis";
          name = "redis";
          inherit (cfg.redis) folder;
          # The socket is its owner's alone, and the unit has no right to everybody's.
          client = [
            "setpriv"
            "--reuid=${cfg.redis.user}"
            "--regid=${cfg.redis.user}"
            "--clear-groups"
            "redis-cli"
            "-s"
            cfg.redis.socket
          ];
        }
      );
    }
    (lib.mkIf storage.enable {
      panther.storage.subvolumes = lib.mkMerge (
        map
          (
            name:
            lib.mkIf cfg.${name}.subvolume {
              ${name} = {
                mountpoint = cfg.${name}.folder;
                nodatacow = lib.mkDefault true;
                mode = lib.mkDefault "755";
                snapshots = lib.mkDefault true;
                backup = lib.mkDefault true;
              };
            }
          )
          [
            "postgresql"
            "redis"
          ]
      );
    })
    (lib.mkIf cfg.postgresql.enable {
      assertions = lib.optionals storage.enable (
        [ (own "postgresql" postgresDir) ]
        ++ lib.optional (objective != null && config.services.panther.enable) {
          assertion = lib.any (b: worst b <= objective) archiving;
          message = "panther.databases.postgresql: ${
            if archiving == [ ] then
              "no backup has ${cfg.postgresql.walArchive} among its sources, so the archived log does not leave this machine"
            else
              "the archived log leaves this machine every ${
                panther.calendar.sayMinutes (lib.foldl' lib.min 1000000 (map worst archiving))
              } in the worst case (schedule, delay and archiveTimeout)"
          }; the objective (panther.storage.objectives.databaseMinutes) is ${panther.calendar.sayMinutes objective}.";
        }
      );
      services.postgresql = {
        enable = true;
        # Without copy-on-write Btrfs has no checksums of these files: PostgreSQL has its own.
        initdbArgs = [ "--data-checksums" ];
        settings = {
          # A snapshot is what a power cut leaves; these two are what makes that recoverable. Copy-on-write would allow
          # full_page_writes = off, but these files are not copied on write.
          fsync = true;
          full_page_writes = true;
          wal_level = "replica";
          archive_mode = "on";
          archive_timeout = cfg.postgresql.archiveTimeout;
          archive_command = "${script}/wal-archive.sh %p ${cfg.postgresql.walArchive}/%f";
        };
      };
      systemd.tmpfiles.rules = [ "d ${cfg.postgresql.walArchive} 0700 postgres postgres -" ];
      systemd.services.postgresql = {
        # cmp, for the archive's script.
        path = [ pkgs.diffutils ];
        unitConfig.RequiresMountsFor = [
          cfg.postgresql.folder
          cfg.postgresql.walArchive
        ];
      };
    })
    (lib.mkIf cfg.redis.enable {
      assertions = lib.optional storage.enable (own "redis" "${cfg.redis.folder}/${cfg.redis.server}");
      services.redis.servers.${cfg.redis.server} = {
        enable = true;
        appendOnly = true;
        appendFsync = "everysec";
        settings = {
          dir = lib.mkForce "${cfg.redis.folder}/${cfg.redis.server}";
          unixsocketperm = lib.mkDefault "700";
        };
      };
      systemd.services."redis-${cfg.redis.server}" = {
        unitConfig.RequiresMountsFor = [ cfg.redis.folder ];
        serviceConfig.ReadWritePaths = [ "${cfg.redis.folder}/${cfg.redis.server}" ];
      };
      systemd.tmpfiles.rules = [
        "d ${cfg.redis.folder}/${cfg.redis.server} 0700 ${cfg.redis.user} ${cfg.redis.user} -"
      ];
    })
  ];
}
