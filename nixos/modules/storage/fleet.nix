# What the machines must agree on: writer names, who is admin, the money.
{ config, lib, ... }:
let
  inherit (panther.options)
    oneOf
    option
    saying
    wanted
    ;
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
              writer = saying "the host's name" (
                option (types.strMatching "[a-z0-9][a-z0-9-]*") name
                  "Under which name the host writes into the repository. Each host has its own."
              );
              role =
                oneOf [ "writer" "admin" ] "writer"
                  "A writer backs up and can neither read nor delete. The admin also checks, forgets, prunes and drills; there is one.";
              budgetDollars = wanted types.number "What the host's backups may cost in a month.";
            };
          }
        )
      );
      default = { };
      description = "All machines that back up into the same repository, by host name.";
    };
    budget.limitDollars = option types.number 10 "What all machines together may cost in a month.";
  };

  config.assertions = map panther.options.refuse (
    panther.backup.fleetProblems {
      hosts = cfg.fleet;
      inherit (cfg.budget) limitDollars;
    }
  );
}
