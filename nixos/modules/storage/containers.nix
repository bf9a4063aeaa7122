# Podman's storage on its own subvolume.
{ config, lib, ... }:
let
  panther = import ../../lib/storage { inherit lib; };
  inherit (panther.options) oneOf;
  inherit (lib) mkOption types;
  cfg = config.panther.containers;
in
{
  options.panther.containers = {
    enable = lib.mkEnableOption "Podman with its storage on its own subvolume";
    backup = oneOf [ "none" "volumes" "all" ] "none" ''
      What of it is backed up: nothing (images can be pulled again), the named volumes, or everything. What is left out is named
      in the configuration, not forgotten.
    '';
    folder = mkOption {
      type = types.str;
      default = "/var/lib/containers";
      readOnly = true;
      description = "Where the storage is.";
    };
  };

  config = lib.mkIf cfg.enable {
    virtualisation.podman = {
      enable = true;
      autoPrune = {
        enable = lib.mkDefault true;
        dates = lib.mkDefault "weekly";
      };
    };
    # Not the btrfs driver: it makes a subvolume for each layer, which are in no snapshot of the outer one, and thousands of which
    # make balancing and removing snapshots slow. Overlay is what Podman's makers test.
    virtualisation.containers.storage.settings.storage = {
      driver = "overlay";
      graphroot = "${cfg.folder}/storage";
      runroot = "/run/containers/storage";
    };
    panther.storage.subvolumes.containers = lib.mkIf config.panther.storage.enable {
      backup = cfg.backup != "none";
      snapshots = cfg.backup != "none";
      # Images and the layers of containers can be pulled and made again; volumes cannot.
      exclude = lib.optionals (cfg.backup == "volumes") (
        map (f: "${cfg.folder}/storage/${f}") [
          "overlay"
          "overlay-containers"
          "overlay-images"
          "overlay-layers"
        ]
      );
    };
  };
}
