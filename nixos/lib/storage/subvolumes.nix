# Subvolumes: mount options, and how copy-on-write and compression are set for one subvolume and not the next.
#
# Btrfs takes `nodatacow` and `compress` from the first mount of a file system for all of its subvolumes, silently. So
# neither is ever a mount option here. What holds for one subvolume is set on its root folder while that is empty, and
# inherited by all that is made in it: the attribute +C (chattr), or the property `compression` (btrfs-property(8)).
{ lib }:
let
  inherit (lib)
    attrValues
    concatMap
    concatMapStrings
    elem
    escapeShellArg
    filter
    hasPrefix
    optional
    optionals
    sort
    ;

  # What no mount of a subvolume may say, since it would hold for its neighbours, too.
  wholeFileSystemOptions = [
    "nodatacow"
    "datacow"
    "nodatasum"
    "datasum"
    "compress"
    "compress-force"
  ];
  optionName = o: lib.head (lib.splitString "=" o);

  # The same for each subvolume of a file system, but for what util-linux keeps per mount (noatime, nosuid, …).
  mountOptions =
    {
      discard ? true,
      extra ? [ ],
    }:
    [
      "noatime"
      "space_cache=v2"
    ]
    ++ optional discard "discard=async"
    ++ extra;

  byMountpoint = sort (a: b: a.mountpoint < b.mountpoint);
  onPool = pool: subvolumes: byMountpoint (filter (s: s.pool == pool) (attrValues subvolumes));

  # Is `path` the folder `root`, or below it?
  isBelow =
    root: path: path == root || hasPrefix (if lib.hasSuffix "/" root then root else "${root}/") path;

  # "/" ".panther" -> "/.panther"
  inFolder = folder: name: "${lib.removeSuffix "/" folder}/${name}";

  # The subvolume in which a path lies: the one with the longest mount point above it.
  holding =
    subvolumes: path:
    let
      above = filter (s: isBelow s.mountpoint path) (attrValues subvolumes);
      longest = sort (a: b: lib.stringLength a.mountpoint > lib.stringLength b.mountpoint) above;
    in
    if longest == [ ] then null else lib.head longest;

  # What lsattr and btrfs property are to say afterwards: { mountpoint, nodatacow, compression }.
  intended =
    subvolumes:
    map (s: {
      inherit (s) mountpoint nodatacow compression;
    }) (byMountpoint (filter (s: s.mountpoint != null) (attrValues subvolumes)));

  # One line a subvolume: FOLDER, C or -, compression or -.
  attributeLine =
    s:
    "${s.mountpoint} ${if s.nodatacow then "C" else "-"} ${
      if s.compression == null then "-" else s.compression
    }\n";

  # Shell commands that set what `subvolumes` want on the empty subvolumes of the Btrfs in $device. Disko runs them after it has
  # made the subvolumes and before anything is mounted or written.
  attributesHook =
    subvolumes:
    let
      commands =
        s:
        let
          folder = ''"$attributes_root"/${escapeShellArg s.subvolume}'';
        in
        optionals s.nodatacow [ "chattr +C ${folder}" ]
        ++ optionals (s.compression != null) [
          "btrfs property set ${folder} compression ${escapeShellArg s.compression}"
        ]
        ++ optionals (s.mode != null) [ "chmod ${escapeShellArg s.mode} ${folder}" ];
    in
    ''
      attributes_root=$(mktemp -d)
      mount -t btrfs -o subvol=/ "$device" "$attributes_root"
      ${concatMapStrings (c: "${c}\n") (concatMap commands subvolumes)}umount "$attributes_root"
      rmdir "$attributes_root"
    '';

  # The second net, at every boot: systemd-tmpfiles sets the attribute where a subvolume was made by hand.
  tmpfilesRules =
    subvolumes:
    map (s: "h ${s.mountpoint} - - - - +C") (
      filter (s: s.nodatacow) (byMountpoint (attrValues subvolumes))
    );

  # What is wrong with a table of subvolumes: messages, none if all is well.
  problems =
    subvolumes:
    let
      all = byMountpoint (attrValues subvolumes);
      both = filter (s: s.nodatacow && s.compression != null) all;
      whole = concatMap (
        s: map (o: { inherit s o; }) (filter (o: elem (optionName o) wholeFileSystemOptions) s.mountOptions)
      ) all;
    in
    map (
      s:
      "panther.storage.subvolumes: ${s.mountpoint} has nodatacow and compression = \"${s.compression}\". Btrfs compresses nothing that is not copied on write: set one of the two."
    ) both
    ++ map (
      { s, o }:
      "panther.storage.subvolumes: ${s.mountpoint} has the mount option “${o}”. The first mount of a Btrfs decides it for all of its subvolumes, silently; set nodatacow or compression of the subvolume instead."
    ) whole;

  # Subvolumes below a folder that is backed up, of which nobody has said whether they are: a snapshot of the outer one holds an
  # empty folder in their place.
  leftOut =
    subvolumes: paths:
    filter (
      s:
      s.backup == null
      && !(elem s.mountpoint paths)
      && lib.any (p: p != s.mountpoint && isBelow p s.mountpoint) paths
    ) (byMountpoint (attrValues subvolumes));

  # What is mounted in / and is no data, or not this machine's.
  systemMounts = [
    "/.swap"
    "/boot"
    "/dev"
    "/media"
    "/mnt"
    "/proc"
    "/run"
    "/sys"
    "/tmp"
  ];
  # Patterns for a backup of `paths`: what is mounted below one of them and not wanted. A backup follows mounts.
  unwanted =
    subvolumes: paths:
    let
      below = path: lib.any (p: p != path && isBelow p path) paths;
      holdsSource = path: lib.any (p: isBelow path p) paths;
      refused = map (s: s.mountpoint) (
        filter (s: s.backup != true) (byMountpoint (attrValues subvolumes))
      );
    in
    filter (path: below path && !(holdsSource path)) (
      refused ++ filter (m: !(lib.any (s: s.mountpoint == m) (attrValues subvolumes))) systemMounts
    );
in
{
  inherit
    unwanted
    mountOptions
    onPool
    isBelow
    inFolder
    holding
    intended
    attributesHook
    tmpfilesRules
    problems
    leftOut
    wholeFileSystemOptions
    ;
  attributeTable = subvolumes: concatMapStrings attributeLine (byMountpoint (attrValues subvolumes));
  # Mount points of those to be backed up, outer before inner.
  backedUp =
    subvolumes:
    map (s: s.mountpoint) (byMountpoint (filter (s: s.backup == true) (attrValues subvolumes)));
  snapshotted =
    subvolumes: map (s: s.mountpoint) (byMountpoint (filter (s: s.snapshots) (attrValues subvolumes)));
}
