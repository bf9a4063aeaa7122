# A laptop with panther's modules: what a host imports, with its own disks and facter.json.
{ ... }:
{
  imports = [ ../../modules/storage ];
  panther.storage.enable = true;
  panther.snapshots.enable = true;
}
