# The second disk of a laptop with two: a file system of its own (no RAID), for data and backups.
{ config, lib, ... }:
let
  cfg = config.panther.storage;
  panther = import ../../../lib/storage { inherit lib; };
in
{
  config = lib.mkIf (cfg.enable && cfg.layout == "dual-nvme") {
    disko.devices.disk.data = panther.disko.disk {
      device = cfg.disks.data;
      label = "data";
      pool = "data";
      table = cfg.subvolumes;
      inherit (cfg) discard;
      encrypted = cfg.encryption.enable;
      inherit (cfg.encryption) passwordFile;
    };
    assertions = [
      {
        assertion = cfg.disks ? data && cfg.disks.data != cfg.disks.main;
        message = "panther.storage.layout is dual-nvme, which needs two disks: set panther.storage.disks.data to another device than disks.main.";
      }
    ];
  };
}
