# What the machines must agree on: writer names, who is admin, the money.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.panther;
  panther = import ../../lib/storage { inherit lib; };
in
{
  options.panther = {
    fleet = mkOption {
      type = types.attrsOf (
        types.submodule (
          { name, ... }:
          {
            options = {
              writer = mkOption {
                type = types.strMatching "[a-z0-9][a-z0-9-]*";
                default = name;
                defaultText = lib.literalMD "the host's name";
                description = "Under which name the host writes into the repository. Each host has its own.";
              };
              role = mkOption {
                type = types.enum [
                  "writer"
                  "admin"
                ];
                default = "writer";
                description = "A writer backs up and can neither read nor delete. The admin also checks, forgets, prunes and drills; there is one.";
              };
              budgetDollars = mkOption {
                type = types.number;
                description = "What the host's backups may cost in a month.";
              };
            };
          }
        )
      );
      default = { };
      description = "All machines that back up into the same repository, by host name.";
    };
    budget.limitDollars = mkOption {
      type = types.number;
      default = 10;
      description = "What all machines together may cost in a month.";
    };
  };

  config.assertions =
    map
      (message: {
        assertion = false;
        inherit message;
      })
      (
        panther.backup.fleetProblems {
          hosts = cfg.fleet;
          inherit (cfg.budget) limitDollars;
        }
      );
}
