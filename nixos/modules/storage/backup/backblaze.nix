# Backblaze B2: application keys, by files that OpNix or another manager of secrets writes at run time.
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (panther.options)
    maybeText
    option
    text
    withExample
    ;
  inherit (lib) types;
  cfg = config.services.panther;
  panther = import ../../../lib/storage { inherit lib; };
  usesB2 = lib.any (b: panther.backup.parseRepository b.repository != null) (
    lib.attrValues cfg.backups
  );
  hasOpnix = options ? services && options.services ? onepassword-secrets;
in
{
  options.services.panther = {
    b2KeyFile = withExample "/run/secrets/b2-key" (
      maybeText null "File with B2's application key: its id and the key, on two lines (docs/b2.md)."
    );
    b2ReadKeyFile = withExample "/run/secrets/b2-read-key" (
      maybeText null "File with the second key that only lists and reads, where the first is restricted to this machine's folder."
    );
    b2Endpoint = maybeText null "Another address of the service; for tests.";
    opnix =
      withExample
        {
          panther-password = "op://Infrastructure/panther-hetzner/password";
          b2-key = "op://Infrastructure/b2-hetzner/key";
        }
        (
          option (types.attrsOf types.str) { } ''
            References into 1Password, by the name of the file that OpNix is to write below `opnixFolder`, readable for root only.
            The names `panther-password`, `panther-identity`, `b2-key` and `b2-read-key` are used by all backups that say nothing else. OpNix' own
            module must be imported.
          ''
        );
    opnixFolder = text "/var/lib/opnix/secrets" "Where OpNix writes.";
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = usesB2 -> cfg.b2KeyFile != null;
        message = "services.panther: a repository is in B2, but there is no application key: set services.panther.b2KeyFile, or services.panther.opnix.b2-key.";
      }
      {
        assertion = cfg.opnix != { } -> hasOpnix;
        message = "services.panther.opnix names secrets, but OpNix' module is not imported (services.onepassword-secrets is missing).";
      }
    ];
    services = {
      panther = {
        b2KeyFile = lib.mkIf (cfg.opnix ? b2-key) (lib.mkDefault "${cfg.opnixFolder}/b2-key");
        b2ReadKeyFile = lib.mkIf (cfg.opnix ? b2-read-key) (lib.mkDefault "${cfg.opnixFolder}/b2-read-key");
      };
    }
    # Where the option is not declared, it cannot be named at all.
    // lib.optionalAttrs hasOpnix {
      onepassword-secrets = lib.mkIf (cfg.opnix != { }) {
        enable = true;
        secrets = lib.mapAttrs (name: reference: {
          inherit reference;
          path = "${cfg.opnixFolder}/${name}";
          owner = "root";
          group = "root";
          mode = "0400";
        }) cfg.opnix;
      };
    };
  };
}
