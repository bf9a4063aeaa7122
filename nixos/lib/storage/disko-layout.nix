# One disk for Disko: a partition table, an ESP, swap, and a Btrfs with its subvolumes, maybe inside LUKS.
{ lib, subvolumes }:
let
  inherit (lib) listToAttrs nameValuePair optionalAttrs;

  esp = mib: {
    type = "EF00";
    size = "${toString mib}M";
    priority = 200;
    content = {
      type = "filesystem";
      format = "vfat";
      mountpoint = "/boot";
      # The kernel and its initrd are nobody's business but root's.
      mountOptions = [
        "umask=0077"
        "noatime"
      ];
    };
  };

  # For firmware without UEFI: GRUB's second stage lies in a partition of its own.
  biosBoot = {
    type = "EF02";
    size = "1M";
    priority = 100;
  };

  swapPartition = gib: {
    size = "${toString gib}G";
    priority = 500;
    content = {
      type = "swap";
      discardPolicy = "once";
    };
  };

  btrfs =
    {
      label,
      pool,
      table,
      discard,
      swapFileGiB,
    }:
    let
      here = subvolumes.onPool pool table;
      entry =
        s:
        nameValuePair s.subvolume {
          inherit (s) mountpoint;
          mountOptions = subvolumes.mountOptions {
            inherit discard;
            extra = s.mountOptions;
          };
        };
      # A swap file forbids snapshots of its subvolume, so it has one of its own.
      swap = optionalAttrs (swapFileGiB > 0) {
        "@swap" = {
          mountpoint = "/.swap";
          mountOptions = subvolumes.mountOptions { inherit discard; };
          swap.swapfile.size = "${toString swapFileGiB}G";
        };
      };
    in
    {
      type = "btrfs";
      extraArgs = [
        "--force"
        "--label"
        label
      ];
      subvolumes = listToAttrs (map entry here) // swap;
      postCreateHook = subvolumes.attributesHook here;
    };

  luks =
    name: passwordFile: content:
    {
      type = "luks";
      inherit name content;
      settings.allowDiscards = true;
    }
    // optionalAttrs (passwordFile != null) { inherit passwordFile; };
in
{
  inherit btrfs;

  # -> disko.devices.disk.<name>
  disk =
    {
      device,
      label,
      pool,
      table,
      boot ? false,
      bios ? false,
      espMiB ? 1024,
      encrypted ? false,
      passwordFile ? null,
      discard ? true,
      swapPartitionGiB ? 0,
      swapFileGiB ? 0,
    }:
    let
      content = btrfs {
        inherit
          label
          pool
          table
          discard
          swapFileGiB
          ;
      };
    in
    {
      type = "disk";
      inherit device;
      content = {
        type = "gpt";
        partitions =
          optionalAttrs bios { bios = biosBoot; }
          // optionalAttrs boot { esp = esp espMiB; }
          // optionalAttrs (swapPartitionGiB > 0) { swap = swapPartition swapPartitionGiB; }
          // {
            root = {
              size = "100%";
              content = if encrypted then luks "crypt-${pool}" passwordFile content else content;
            };
          };
      };
    };
}
