# The flake's outputs with copies of its inputs, and a stand-in for nixpkgs: its real lib, packages that are only names, and for NixOS itself
# tests/stub-nixos.nix with Disko's real types.
{
  libPath,
  diskoPath,
  flakePartsPath,
}:
let
  lib = import (libPath + "/lib");
  fakePackage = name: {
    type = "derivation";
    inherit name;
    outPath = "/nix/store/00000000000000000000000000000000-${name}";
    drvPath = "/nix/store/00000000000000000000000000000000-${name}.drv";
    system = "x86_64-linux";
  };
  packages =
    system:
    lib.genAttrs (
      import ./packages.nix
      ++ [
        "jq"
        "python3"
        "cargo"
        "rustc"
        "clippy"
        "rustfmt"
        "just"
        "nix-unit"
        "nixfmt"
        "deadnix"
        "shellcheck"
        "actionlint"
      ]
    ) fakePackage
    // {
      inherit lib system;
      stdenv.hostPlatform = { inherit system; };
      runtimeShell = "/bin/sh";
      rustPlatform.buildRustPackage =
        a:
        fakePackage "${a.pname}-${a.version}"
        // {
          asked = builtins.seq (builtins.readFile a.cargoLock.lockFile) true;
        };
      runCommand =
        name: _: _:
        fakePackage name;
      writeText = name: text: fakePackage name // { inherit text; };
      writeShellApplication = a: fakePackage a.name;
      mkShell = a: fakePackage "shell" // a;
      testers.runNixOSTest = test: fakePackage "vm" // { inherit test; };
    };
  nixpkgs = {
    _type = "flake";
    outPath = libPath;
    lib = lib // {
      # Sources are not copied here.
      fileset = lib.fileset // {
        toSource = a: a.root;
      };
      nixosSystem =
        { modules }:
        let
          h = import ./host.nix { inherit libPath diskoPath; };
        in
        lib.evalModules {
          modules = [
            ./stub-nixos.nix
            {
              options.nixpkgs.hostPlatform = lib.mkOption { type = lib.types.str; };
              options.system.stateVersion = lib.mkOption { type = lib.types.str; };
              options.disko.devices = lib.mkOption {
                type = h.diskoLib.toplevel;
                default = { };
              };
            }
          ]
          ++ modules;
          specialArgs = {
            inherit lib;
            pkgs = packages "x86_64-linux";
          };
        };
    };
    legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] packages;
  };
  flakeParts = (import (flakePartsPath + "/flake.nix")).outputs { nixpkgs-lib = nixpkgs; };
  flake = import ../../flake.nix;
  inputs = {
    inherit nixpkgs self;
    flake-parts = flakeParts // {
      outPath = flakePartsPath;
    };
    disko.nixosModules.disko = { };
    opnix.nixosModules.default = { };
  };
  outputs = flake.outputs inputs;
  self = outputs // {
    inherit inputs outputs;
    outPath = toString ../..;
    sourceInfo.outPath = toString ../..;
    _type = "flake";
  };
  names = builtins.attrNames;
in
{
  outputs = names outputs;
  packages = names outputs.packages.x86_64-linux;
  panther = outputs.packages.x86_64-linux.panther.name;
  modules = names outputs.nixosModules;
  hosts = lib.mapAttrs (_: h: {
    refused = map (a: a.message) (lib.filter (a: !a.assertion) h.config.assertions);
    inherit (h.config.panther.storage) profile;
    package = h.config.services.panther.package.name;
  }) outputs.nixosConfigurations;
  checks = lib.mapAttrs (_: names) outputs.checks;
  apps = names outputs.apps.x86_64-linux;
  shell = outputs.devShells.x86_64-linux.default.name;
  formatter = outputs.formatter.x86_64-linux.name;
  tests = names outputs.tests;
  storage = outputs.lib.storage.snapshots.presets.laptop.daily;
}
