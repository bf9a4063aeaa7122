# The few shapes of disko.devices that panther's layouts use, as scripts, for machines where Disko is not at hand: what is tested then is the
# hooks and the tables, not Disko. The mount point is /mnt.
{ lib }:
devices:
let
  inherit (lib)
    attrNames
    attrValues
    concatMap
    concatMapStrings
    concatStringsSep
    imap0
    mapAttrsToList
    sort
    ;
  priority = p: if (p.size or "") == "100%" then 9001 else p.priority or 1000;
  named = disk: mapAttrsToList (name: p: p // { inherit name; }) disk.content.partitions;
  sorted = disk: sort (a: b: priority a < priority b) (named disk);
  label = disk: p: "disk-${disk}-${p.name}";
  device = disk: p: "/dev/disk/by-partlabel/${label disk p}";

  content =
    d: c:
    if c.type == "btrfs" then
      ''
        (
          device=${d}
          mkfs.btrfs ${d} ${concatStringsSep " " c.extraArgs}
          top=$(mktemp -d)
          mount ${d} "$top" -o subvol=/
          ${concatMapStrings (
            s:
            "btrfs subvolume create \"$top/${s}\"\n"
            + concatMapStrings (f: "btrfs filesystem mkswapfile --size ${f.size} \"$top/${s}/swapfile\"\n") (
              attrValues (c.subvolumes.${s}.swap or { })
            )
          ) (attrNames c.subvolumes)}
          umount "$top"
          ${c.postCreateHook}
        )
      ''
    else if c.type == "luks" then
      ''
        cryptsetup -q luksFormat ${d}
        cryptsetup open ${d} ${c.name}
        ${content "/dev/mapper/${c.name}" c.content}
      ''
    else if c.type == "swap" then
      "mkswap ${d}\n"
    else
      "mkfs.${c.format} ${d}\n";
  create =
    name: disk:
    "sgdisk --clear ${disk.device}\n"
    + concatMapStrings (x: x) (
      imap0 (
        i: p:
        let
          n = toString (i + 1);
        in
        "sgdisk --align-end --new=${n}:0:${
          if p.size == "100%" then "-0" else "+${p.size}"
        } --change-name=${n}:${label name p} --typecode=${n}:${p.type or "8300"} ${disk.device}\npartprobe ${disk.device}\nudevadm settle\n"
      ) (sorted disk)
    )
    + concatMapStrings (p: if p ? content then content (device name p) p.content else "") (sorted disk);

  mounts =
    d: c:
    if c.type == "btrfs" then
      mapAttrsToList (s: v: {
        at = v.mountpoint;
        command = "mount ${d} /mnt${v.mountpoint} ${
          concatMapStrings (o: "-o ${o} ") (v.mountOptions ++ [ "subvol=${s}" ])
        }-o X-mount.mkdir\n";
      }) c.subvolumes
    else if c.type == "luks" then
      mounts "/dev/mapper/${c.name}" c.content
    else if c.type == "filesystem" then
      [
        {
          at = c.mountpoint;
          command = "mount ${d} /mnt${c.mountpoint} -t ${c.format} ${
            concatMapStrings (o: "-o ${o} ") c.mountOptions
          }-o X-mount.mkdir\n";
        }
      ]
    else
      [ ];
  all = concatMap (
    name:
    concatMap (p: if p ? content then mounts (device name p) p.content else [ ]) (
      sorted devices.disk.${name}
    )
  ) (attrNames devices.disk);
in
{
  create = "set -eux\n" + concatMapStrings (n: create n devices.disk.${n}) (attrNames devices.disk);
  mount = "set -eux\n" + concatMapStrings (m: m.command) (sort (a: b: a.at < b.at) all);
  unmount = "umount -R /mnt\n";
}
