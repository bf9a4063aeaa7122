# Local snapshots: read-only, in the folder .panther of each subvolume, by `panther snapshot`.
{ config, lib, ... }:
let
  inherit (panther.options) saying texts withExample;
  panther = import ../../../lib/storage { inherit lib; };
in
{
  imports = [
    ./policies.nix
    ./automation.nix
  ];

  options.panther.snapshots = {
    enable = lib.mkEnableOption "local snapshots by timer";
    subvolumes = withExample [ "/home" ] (
      saying "those of `panther.storage.subvolumes` with `snapshots`" (
        texts (panther.subvolumes.snapshotted config.panther.storage.subvolumes) "Mount points of subvolumes. One run makes one snapshot in each, all under the same name."
      )
    );
  };
}
