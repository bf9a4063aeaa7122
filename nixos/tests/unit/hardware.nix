# Which profile a machine gets from its facter.json.
{ panther, lib, ... }:
let
  report = name: builtins.fromJSON (builtins.readFile (../../hosts + "/${name}/facter.json"));
  select = args: (panther.selectors.choose args).profile or "error";
  zephyrus = report "zephyrus";
  yoga = report "yoga";
  facts = name: panther.hardware.facts (report name);
in
{
  testZephyrusHasTwoNvme = {
    expr = select { report = zephyrus; };
    expected = "dev-laptop";
  };
  testYogaHasOne = {
    expr = select { report = yoga; };
    expected = "light-laptop";
  };
  testServersMustSay = {
    expr = map (name: select { report = report name; }) [
      "hetzner"
      "contabo"
      "ovh"
    ];
    expected = [
      "error"
      "error"
      "error"
    ];
  };
  testServerThatSays = {
    expr = select {
      report = report "hetzner";
      serverProfile = "production-vps";
    };
    expected = "production-vps";
  };
  # A virtual machine is a server though it has two NVMe disks and says laptop.
  testVirtualWins = {
    expr = select {
      report = zephyrus // {
        virtualisation = "kvm";
      };
      serverProfile = "utility-vps";
    };
    expected = "utility-vps";
  };
  testChassisObjectAndList = {
    expr = map (n: (facts n).chassisTypes) [
      "yoga"
      "zephyrus"
    ];
    expected = [
      [ 31 ]
      [ 10 ]
    ];
  };
  testChassisAlone = {
    expr = select { report = lib.recursiveUpdate yoga { hardware.system.form_factor = "unknown"; }; };
    expected = "light-laptop";
  };
  testDesktopIsNobodys = {
    expr = select {
      report = lib.recursiveUpdate yoga {
        hardware.system.form_factor = "desktop";
        smbios.chassis.chassis_type.value = 3;
      };
    };
    expected = "error";
  };
  # The error says what was seen.
  testErrorSays = {
    expr =
      let
        e =
          (panther.selectors.choose {
            report = lib.recursiveUpdate yoga {
              hardware.system.form_factor = "desktop";
              smbios.chassis.chassis_type.value = 3;
            };
          }).error;
      in
      map (s: lib.hasInfix s e) [
        "panther.storage.profile"
        "form factor: desktop"
        "chassis types: 3"
        "SAMSUNG MZVLB512HBJQ-000L2 (NVMe) of 512 GB"
      ];
    expected = [
      true
      true
      true
      true
    ];
  };
  testNoReport = {
    expr = lib.hasInfix "no facter.json" (panther.selectors.choose { report = { }; }).error;
    expected = true;
  };
  testUsbSticksDoNotCount = {
    expr =
      (panther.hardware.facts (
        yoga
        // {
          hardware = yoga.hardware // {
            disk = yoga.hardware.disk ++ [
              {
                model = "Stick";
                driver = "usb-storage";
                unix_device_names = [ "/dev/sdb" ];
              }
            ];
          };
        }
      )).nvmeCount;
    expected = 1;
  };
  testSizes = {
    expr = map (n: (facts n).diskBytes / 1000000000) [
      "zephyrus"
      "yoga"
      "hetzner"
    ];
    expected = [
      3024
      512
      491
    ];
  };
  testStableNames = {
    expr = map (d: d.name) (facts "zephyrus").disks;
    expected = [
      "/dev/disk/by-id/nvme-CT2000P3SSD8_2311E6BCA8F1"
      "/dev/disk/by-id/nvme-Micron_2450_MTFDKBA1T0TFK_21323158A6C3"
    ];
  };
  testProfilesHaveClasses = {
    expr = map panther.selectors.classOf panther.selectors.names;
    expected = [
      "laptop"
      "laptop"
      "server"
      "server"
      "server"
    ];
  };
}
