# What other flakes import.
{ inputs, lib, ... }:
let
  withPackage =
    module:
    { pkgs, lib, ... }:
    {
      # Under whichever names it is imported, it is one module.
      key = "panther";
      imports = [ module ];
      services.panther.package =
        lib.mkDefault
          inputs.self.packages.${pkgs.stdenv.hostPlatform.system}.panther;
    };
  # Storage, snapshots, backups and monitoring know of one another, so each name is the whole; what is not enabled does nothing.
  all = withPackage ../modules/storage;
in
{
  flake = {
    nixosModules = {
      default = all;
      # With Disko, which does the formatting.
      storage.imports = [
        all
        inputs.disko.nixosModules.disko
      ];
      snapshots = all;
      backup = all;
      monitoring = all;
    };

    lib.storage = import ../lib/storage { inherit lib; };

    overlays.default = final: _: {
      inherit (inputs.self.packages.${final.stdenv.hostPlatform.system}) panther;
    };

    # nix-unit --flake .#tests
    tests = (import ../tests { libPath = "${inputs.nixpkgs}"; }).tests;
  };
}
