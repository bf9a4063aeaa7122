# A server with panther's modules. It must say which profile it is: production-vps, staging-vps or utility-vps.
{ lib, ... }:
{
  imports = [ ../../modules/storage ];
  panther.storage.enable = true;
  panther.snapshots.enable = true;
  services.qemuGuest.enable = lib.mkDefault true;
}
