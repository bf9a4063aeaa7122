# A laptop's layout in a virtual machine: Disko's script on two empty disks, attributes, a snapshot, an attempt that is not due.
# Not run where this was written (no nixpkgs, no KVM): the same is done by nixos/tests/disks and nixos/tests/booted on loop devices.
{ lib, ... }:
{
  name = "panther-laptop";
  nodes.machine =
    { config, pkgs, ... }:
    {
      virtualisation.emptyDiskImages = [
        8192
        8192
      ];
      networking.hostName = "zephyrus";
      panther.storage = {
        enable = true;
        profile = "dev-laptop";
        swapGiB = 1;
        encryption.enable = lib.mkForce false;
        disks = {
          main = "/dev/vdb";
          data = "/dev/vdc";
        };
      };
      # The machine itself runs from the test's own disk.
      disko.enableConfig = false;
      fileSystems = lib.mkForce { };
      panther.snapshots.enable = lib.mkForce false;
      environment.systemPackages = [
        pkgs.btrfs-progs
        config.services.panther.package
      ];
      environment.etc."disko".source = config.system.build.formatMount;
    };
  testScript = ''
    machine.wait_for_unit("multi-user.target")
    machine.succeed("$(find /etc/disko/bin -type f | head -n 1) >&2")
    for folder, letter in [("var/lib/postgresql", "C"), ("var/lib/redis", "C")]:
        assert letter in machine.succeed(f"lsattr -d /mnt/{folder}").split()[0]
    for folder in ["", "home", "home/dev", "nix", "var/lib/containers", "data"]:
        assert "zstd" in machine.succeed(f"btrfs property get /mnt/{folder} compression")
        assert "C" not in machine.succeed(f"lsattr -d /mnt/{folder}").split()[0]
    machine.succeed("panther snapshot create /mnt/home /mnt/home/dev && panther snapshot list /mnt/home")
  '';
}
