# Which snapshots are kept.
{ config, lib, ... }:
let
  inherit (panther.options) option saying withExample;
  inherit (lib) types;
  cfg = config.panther.snapshots;
  panther = import ../../../lib/storage { inherit lib; };
in
{
  options.panther.snapshots.retention =
    withExample
      {
        hourly = 24;
        daily = 7;
        weekly = 4;
        monthly = 12;
      }
      (
        saying "30 daily, 12 weekly, 12 monthly" (
          option (types.attrsOf (types.either types.int types.str)) panther.snapshots.presets.server
            "Rules of `panther snapshot prune` without `--keep-` (docs/retention.md). They add up."
        )
      );

  config.assertions = lib.mkIf cfg.enable (
    map panther.options.refuse (panther.snapshots.problems "panther.snapshots.retention" cfg.retention)
  );
}
