# Podman on its own subvolume.
{ ... }:
{
  panther.containers.enable = true;
}
