# All tests in the form of nix-unit, { testName = { expr; expected; }; } by file. nix-unit runs them from the flake's output `tests`; tests/run
# evaluates the same with Debian's Nix.
{
  libPath ? "",
  diskoPath ? "",
}:
let
  h = import ./host.nix { inherit libPath diskoPath; };
  inherit (h) lib;
  panther = import ../lib/storage { inherit lib; };
  load = file: import file { inherit lib panther h; };
  # Messages are shown, not compared.
  compared =
    t: t // { expr = if builtins.isAttrs t.expr then removeAttrs t.expr [ "messages" ] else t.expr; };
  files = {
    calendar = ./unit/calendar.nix;
    hardware = ./unit/hardware.nix;
    subvolumes = ./unit/subvolumes.nix;
    policies = ./unit/policies.nix;
    hosts = ./modules/hosts.nix;
    assertions = ./modules/assertions.nix;
  };
in
{
  tests = lib.mapAttrs (_: file: lib.mapAttrs (_: compared) (load file)) files;
  # For tests/run: { file = { test = { ok; expr; expected; messages; }; }; }
  results = lib.mapAttrs (
    _: file:
    lib.mapAttrs (
      _: t:
      let
        c = compared t;
      in
      {
        ok = c.expr == c.expected;
        inherit (c) expected;
        actual = c.expr;
      }
      // lib.optionalAttrs (builtins.isAttrs t.expr) { messages = t.expr.messages or [ ]; }
    ) (load file)
  ) files;
}
