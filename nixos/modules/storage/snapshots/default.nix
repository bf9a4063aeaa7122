# Local snapshots: read-only, in the folder .panther of each subvolume, by `panther snapshot`.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  panther = import ../../../lib/storage { inherit lib; };
in
{
  imports = [
    ./policies.nix
    ./automation.nix
  ];

  options.panther.snapshots = {
    enable = lib.mkEnableOption "local snapshots by timer";
    subvolumes = mkOption {
      type = types.listOf types.str;
      default = panther.subvolumes.snapshotted config.panther.storage.subvolumes;
      defaultText = lib.literalMD "those of `panther.storage.subvolumes` with `snapshots`";
      example = [ "/home" ];
      description = "Mount points of subvolumes. One run makes one snapshot in each, all under the same name.";
    };
  };
}
