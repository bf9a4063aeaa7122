# The pure half of the storage modules: functions of their arguments and nothing else, so that all of it can be tested
# by `nix-instantiate --eval` without nixpkgs. `lib` is nixpkgs' lib, or anything that behaves like the part used here.
{ lib }:
let
  self = {
    calendar = import ./calendar.nix { inherit lib; };
    options = import ./option-helpers.nix { inherit lib; };
    toml = import ./toml.nix { inherit lib; };
    hardware = import ./hardware-profiles.nix { inherit lib; };
    selectors = import ./profile-selectors.nix {
      inherit lib;
      inherit (self) hardware;
    };
    profiles = import ./profile-helpers.nix { inherit lib; };
    subvolumes = import ./subvolumes.nix { inherit lib; };
    disko = import ./disko-layout.nix {
      inherit lib;
      inherit (self) subvolumes;
    };
    snapshots = import ./snapshot-helpers.nix {
      inherit lib;
      inherit (self) calendar;
    };
    backup = import ./backup-helpers.nix {
      inherit lib;
      inherit (self) calendar;
    };
  };
in
self
