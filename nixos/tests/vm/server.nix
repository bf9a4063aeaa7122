# A server's layout in a virtual machine, and its databases on it.
# Not run where this was written (no nixpkgs, no KVM): see nixos/tests/disks and nixos/tests/booted.
{ lib, ... }:
{
  name = "panther-server";
  nodes.machine =
    { config, pkgs, ... }:
    {
      virtualisation.emptyDiskImages = [ 8192 ];
      networking.hostName = "hetzner";
      panther.storage = {
        enable = true;
        profile = "production-vps";
        swapGiB = 1;
        disks.main = "/dev/vdb";
      };
      disko.enableConfig = false;
      fileSystems = lib.mkForce { };
      boot.loader.grub.enable = lib.mkForce false;
      panther.snapshots.enable = lib.mkForce false;
      environment.systemPackages = [ pkgs.btrfs-progs ];
      environment.etc."disko".source = config.system.build.formatMount;
    };
  testScript = ''
    machine.wait_for_unit("multi-user.target")
    machine.succeed("$(find /etc/disko/bin -type f | head -n 1) >&2")
    for folder in ["var/lib/postgresql", "var/lib/redis"]:
        assert "C" in machine.succeed(f"lsattr -d /mnt/{folder}").split()[0]
    mounts = machine.succeed("findmnt -rno TARGET,OPTIONS -t btrfs")
    assert "nodatacow" not in mounts and "compress" not in mounts
    for folder in ["", "/home", "/nix", "/var/lib/containers", "/var/lib/backups", "/var/log"]:
        assert f"/mnt{folder} " in mounts
  '';
}
