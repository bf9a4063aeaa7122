# yoga: one NVMe disk, few subvolumes. Databases by profiles/storage/with-databases.nix.
{ config, lib, ... }:
let
  cfg = config.panther.storage;
in
{
  config = lib.mkIf (cfg.enable && cfg.profile == "light-laptop") {
    panther.storage = {
      layout = lib.mkDefault "single-nvme";
      swapGiB = lib.mkDefault 8;
    };
  };
}
