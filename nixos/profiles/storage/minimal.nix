# A machine with a disk of its own making: only the backup modules, nothing is formatted, no snapshots are made by timer.
{ ... }:
{
  imports = [ ../../modules/storage ];
  services.panther.enable = true;
}
