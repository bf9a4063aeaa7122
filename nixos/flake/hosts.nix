# The five machines.
{ inputs, lib, ... }:
let
  host =
    name:
    inputs.nixpkgs.lib.nixosSystem {
      modules = [
        inputs.self.nixosModules.storage
        inputs.opnix.nixosModules.default
        (../hosts + "/${name}")
        {
          nixpkgs.hostPlatform = lib.mkDefault "x86_64-linux";
          system.stateVersion = lib.mkDefault "25.11";
          # OpNix and Datadog come from elsewhere; what is here does without them where they are off.
          services.onepassword-secrets.enable = lib.mkDefault false;
        }
      ];
    };
in
{
  flake.nixosConfigurations = lib.genAttrs [
    "zephyrus"
    "yoga"
    "hetzner"
    "contabo"
    "ovh"
  ] host;
}
