# The options of NixOS, Disko, OpNix and the agents that panther's modules set, declared just closely enough to evaluate a host without nixpkgs.
# What they do with the values is not tested here.
{ lib, config, ... }:
let
  inherit (lib) mkOption types;
  free = mkOption {
    type = types.attrsOf types.anything;
    default = { };
  };
  strings = mkOption {
    type = types.listOf types.str;
    default = [ ];
  };
  unit = {
    description = mkOption {
      type = types.str;
      default = "";
    };
    after = strings;
    wants = strings;
    requires = strings;
    wantedBy = strings;
    onFailure = strings;
    unitConfig = free;
  };
  service = unit // {
    path = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
    };
    environment = mkOption {
      type = types.attrsOf types.str;
      default = { };
    };
    restartIfChanged = mkOption {
      type = types.bool;
      default = true;
    };
    serviceConfig = free;
  };
  timer = unit // {
    timerConfig = free;
  };
  of =
    options:
    mkOption {
      type = types.attrsOf (types.submodule { inherit options; });
      default = { };
    };
in
{
  options = {
    assertions = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
    };
    systemd = {
      services = of service;
      timers = of timer;
      tmpfiles.rules = strings;
    };
    environment = {
      systemPackages = mkOption {
        type = types.listOf types.unspecified;
        default = [ ];
      };
      etc = free;
    };
    fileSystems = free;
    swapDevices = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
    };
    boot = free;
    virtualisation = free;
    networking.hostName = mkOption {
      type = types.str;
      default = "nixos";
    };
    hardware.facter = {
      reportPath = mkOption {
        type = types.nullOr types.path;
        default = null;
      };
      report = mkOption {
        type = types.attrs;
        default =
          if config.hardware.facter.reportPath == null then
            { }
          else
            builtins.fromJSON (builtins.readFile config.hardware.facter.reportPath);
      };
    };
    services = {
      btrfs = free;
      fstrim = free;
      logrotate = free;
      qemuGuest = free;
      journald = free;
      caddy = free;
      datadog-agent = free;
      prometheus = free;
      postgresql = free;
      redis = free;
      onepassword-secrets = free;
    };
  };
}
