# Subvolumes for PostgreSQL and Redis without copy-on-write, and the databases set up to be backed up from snapshots.
{ lib, pkgs, ... }:
{
  panther.databases = {
    postgresql.subvolume = true;
    postgresql.enable = lib.mkDefault true;
    redis.subvolume = true;
    redis.enable = lib.mkDefault true;
  };
  # Named, so that a new release of NixOS does not change it, and the admin's drills start the same.
  services.postgresql.package = lib.mkDefault pkgs.postgresql_16;
}
