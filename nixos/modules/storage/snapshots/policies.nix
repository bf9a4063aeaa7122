# Which snapshots are kept.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.panther.snapshots;
  panther = import ../../../lib/storage { inherit lib; };
in
{
  options.panther.snapshots.retention = mkOption {
    type = types.attrsOf (types.either types.int types.str);
    default = panther.snapshots.presets.server;
    defaultText = lib.literalMD "30 daily, 12 weekly, 12 monthly";
    example = {
      hourly = 24;
      daily = 7;
      weekly = 4;
      monthly = 12;
    };
    description = "Rules of `panther snapshot prune` without `--keep-` (docs/retention.md). They add up.";
  };

  config.assertions = lib.mkIf cfg.enable (
    map (message: {
      assertion = false;
      inherit message;
    }) (panther.snapshots.problems "panther.snapshots.retention" cfg.retention)
  );
}
