# Evaluates a host without nixpkgs: with nixpkgs' lib or the stand-in, with Disko's types or without.
#   libPath   a copy of nixpkgs' lib (the folder with lib/default.nix), or ""
#   diskoPath a copy of Disko, or ""
{
  libPath ? "",
  diskoPath ? "",
}:
let
  lib = if libPath == "" then import ./standin/lib.nix else import (libPath + "/lib");
  diskoLib = import (diskoPath + "/lib") {
    inherit lib;
    rootMountPoint = "/mnt";
    makeTest = throw "no tests of Disko here";
    eval-config = throw "no NixOS here";
    qemu-common = throw "no QEMU here";
  };

  # Where panther and everything else would be installed.
  pkgs = lib.genAttrs (import ./packages.nix) (_: "/usr") // {
    runtimeShell = "/bin/bash";
    panther = {
      type = "derivation";
      name = "panther";
      outPath = "/opt/panther";
    };
    runCommand =
      name: _: _:
      "/nix/store/not-built-here-${name}";
  };

  diskoModule =
    if diskoPath == "" then
      {
        options.disko.devices = lib.mkOption {
          type = lib.types.attrsOf lib.types.anything;
          default = { };
        };
      }
    else
      {
        options.disko.devices = lib.mkOption {
          type = diskoLib.toplevel;
          default = { };
        };
      };

  evaluate =
    modules:
    lib.evalModules {
      modules = [
        ./stub-nixos.nix
        diskoModule
      ]
      ++ modules;
      specialArgs = { inherit lib pkgs; };
    };
in
rec {
  inherit
    lib
    pkgs
    evaluate
    diskoLib
    ;
  names = [
    "contabo"
    "hetzner"
    "ovh"
    "yoga"
    "zephyrus"
  ];
  hostWith =
    name: extra:
    (evaluate (
      [
        (../hosts + "/${name}")
        # A configuration is built and looked at by the program itself; here there is nothing that builds.
        { services.panther.checkConfig = false; }
      ]
      ++ extra
    )).config;
  host = name: hostWith name [ ];
  # What NixOS would refuse to build with, as it says it.
  failures = config: map (a: a.message) (lib.filter (a: !a.assertion) config.assertions);
  options = (evaluate [ ../modules/storage ]).options;

  # A host on other devices and with what a test changes, as Disko's own scripts: { create, mount, unmount }.
  scripts =
    config:
    if diskoPath == "" then
      import ./standin/disko.nix { inherit lib; } config.disko.devices
    else
      {
        create = config.disko.devices._create;
        mount = config.disko.devices._mount;
        unmount = config.disko.devices._unmount.fs or "";
      };
}
