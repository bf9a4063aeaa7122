# Subvolumes for PostgreSQL and Redis without copy-on-write, and the databases set up to be backed up from snapshots.
{ lib, ... }:
{
  panther.databases = {
    postgresql.subvolume = true;
    postgresql.enable = lib.mkDefault true;
    redis.subvolume = true;
    redis.enable = lib.mkDefault true;
  };
}
