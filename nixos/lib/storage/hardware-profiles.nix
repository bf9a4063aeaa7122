# What a facter.json (nixos-facter) says that storage depends on. Only what was seen in real reports is leant on:
# `virtualisation`, the chassis of the SMBIOS, `form_factor`, and the disks with their drivers.
{ lib }:
let
  inherit (lib)
    any
    concatMap
    elem
    filter
    foldl'
    head
    isList
    ;

  # SMBIOS 3.x, 7.4.1: portable, laptop, notebook, hand held, sub notebook, tablet, convertible, detachable.
  portableChassis = [
    8
    9
    10
    11
    14
    30
    31
    32
  ];
  asList =
    v:
    if v == null then
      [ ]
    else if isList v then
      v
    else
      [ v ];

  driversOf =
    disk:
    asList (disk.driver or null)
    ++ asList (disk.drivers or null)
    ++ asList (disk.driver_modules or null);
  namesOf = disk: asList (disk.unix_device_name or null) ++ asList (disk.unix_device_names or null);

  # Bytes, from the report's resource of type "size" in sectors; 0 where it does not say.
  bytesOf =
    disk:
    let
      sizes = filter (r: (r.type or "") == "size" && (r.unit or "") == "sectors") (
        asList (disk.resources or null)
      );
    in
    if sizes == [ ] then 0 else (head sizes).value_1 * ((head sizes).value_2 or 512);

  # USB sticks and optical drives are no places for a system.
  isFixed =
    disk:
    !(any (d: elem d (driversOf disk)) [
      "usb-storage"
      "uas"
      "sr"
      "sr_mod"
    ]);
  isNvme = disk: elem "nvme" (driversOf disk) || any (n: lib.hasPrefix "/dev/nvme" n) (namesOf disk);

  # Names that stay when disks are plugged differently, best first: by-id with a model, then anything by-id.
  stableName =
    disk:
    let
      byId = filter (lib.hasPrefix "/dev/disk/by-id/") (namesOf disk);
      readable = filter (
        n: !(lib.hasInfix "nvme-eui" n || lib.hasInfix "wwn-" n || lib.hasInfix "nvme-nvme" n)
      ) byId;
    in
    if readable != [ ] then
      head readable
    else if byId != [ ] then
      head byId
    else
      null;
in
{
  inherit stableName;

  # report -> { virtualisation, virtual, formFactor, chassisTypes, portable, disks, nvmeCount, diskBytes }
  facts =
    report:
    let
      hardware = report.hardware or { };
      virtualisation = report.virtualisation or null;
      chassis = asList ((report.smbios or { }).chassis or null);
      typeOf =
        c:
        let
          t = c.type or c.chassis_type or null;
        in
        if builtins.isAttrs t then t.value or null else t;
      chassisTypes = filter (t: t != null) (map typeOf chassis);
      formFactor = (hardware.system or { }).form_factor or null;
      describe = disk: {
        name = stableName disk;
        model = disk.model or null;
        bytes = bytesOf disk;
        nvme = isNvme disk;
      };
      disks = map describe (filter isFixed (asList (hardware.disk or null)));
    in
    {
      inherit
        virtualisation
        formFactor
        chassisTypes
        disks
        ;
      virtual = virtualisation != null && virtualisation != "none" && virtualisation != "";
      portable = formFactor == "laptop" || any (t: elem t portableChassis) chassisTypes;
      nvmeCount = builtins.length (filter (d: d.nvme) disks);
      diskBytes = foldl' (sum: d: sum + d.bytes) 0 disks;
    };

  # One line of what was seen, for messages.
  describe =
    facts:
    let
      show = v: if v == null then "not said" else toString v;
      disk =
        d:
        "${if d.model == null then "a disk" else d.model}${lib.optionalString d.nvme " (NVMe)"} of ${
          toString (d.bytes / 1000000000)
        } GB";
    in
    lib.concatStringsSep "; " (
      concatMap asList [
        "virtualisation: ${show facts.virtualisation}"
        "form factor: ${show facts.formFactor}"
        "chassis types: ${
          if facts.chassisTypes == [ ] then
            "not said"
          else
            lib.concatMapStringsSep ", " toString facts.chassisTypes
        }"
        "disks: ${if facts.disks == [ ] then "none" else lib.concatMapStringsSep ", " disk facts.disks}"
      ]
    );
}
