# Loop devices in the place of disks, and programs in the place of what this kernel may lack. Sourced, in a mount namespace of its own.
# shellcheck shell=bash

# shims FOLDER: programs into FOLDER/bin, and a /dev/disk and /dev/mapper of our own
shims() {
    shim=$1
    mkdir -p "$shim/bin" "$shim/images" /dev/disk /dev/mapper /mnt
    mount -t tmpfs none /mnt
    mount -t tmpfs none /dev/mapper
    mount -t tmpfs none /dev/disk
    mkdir -p /dev/disk/by-partlabel /dev/disk/by-id
    # A partition appears: a loop device over its part of the image, under its label.
    cat >"$shim/bin/partprobe" <<SHIM
#!/usr/bin/env bash
set -euo pipefail
disk=\$(readlink -f "\$1")
image=\$(losetup -nO BACK-FILE "\$disk" | xargs)
for n in 1 2 3 4 5; do
    info=\$(sgdisk -i "\$n" "\$disk" 2>/dev/null) || continue
    label=\$(sed -n "s/^Partition name: '\\(.*\\)'/\\1/p" <<<"\$info")
    [ -n "\$label" ] || continue
    first=\$(sed -n 's/^First sector: \\([0-9]*\\).*/\\1/p' <<<"\$info")
    size=\$(sed -n 's/^Partition size: \\([0-9]*\\).*/\\1/p' <<<"\$info")
    [ -e "/dev/disk/by-partlabel/\$label" ] || ln -s "\$(losetup --show -f -o \$((first * 512)) --sizelimit \$((size * 512)) "\$image")" "/dev/disk/by-partlabel/\$label"
done
SHIM
    printf '#!/bin/sh\nexit 0\n' >"$shim/bin/udevadm"
    # No dm-crypt: the name stands for the bare partition. isLuks asks for a mark that luksFormat leaves.
    cat >"$shim/bin/cryptsetup" <<SHIM
#!/usr/bin/env bash
set -euo pipefail
mark=$shim/luks-
args=()
for a in "\$@"; do case \$a in -q | --persistent | --allow-discards | --batch-mode | --key-file=* | --keyfile-* | -) ;; *) args+=("\$a") ;; esac; done
device=\$(readlink -f "\${args[1]}" | tr / _)
case \${args[0]} in
isLuks) [ -e "\$mark\$device" ] ;;
luksFormat) cat >/dev/null || true; touch "\$mark\$device" ;;
status) [ -e "/dev/mapper/\${args[1]}" ] ;;
open | luksOpen) cat >/dev/null || true; [ -e "\$mark\$device" ]; ln -sfn "\$(readlink -f "\${args[1]}")" "/dev/mapper/\${args[2]}" ;;
close) rm -f "/dev/mapper/\${args[1]}" ;;
*) echo "cryptsetup \$* is not stood in for" >&2; exit 1 ;;
esac
SHIM
    # No vfat in the kernel: the ESP is made, and a tmpfs mounted in its place.
    local mount
    mount=$(command -v mount)
    cat >"$shim/bin/mount" <<SHIM
#!/usr/bin/env bash
set -euo pipefail
case " \$* " in
*" -t vfat "* | *" -t "*vfat*) $mount -t tmpfs -o X-mount.mkdir none "\$2" ;;
*) exec $mount "\$@" ;;
esac
SHIM
    chmod +x "$shim"/bin/*
}

# devices HOST: its disks as sparse images on loop devices; sets $overrides, a module
devices() {
    local pool list=
    loops=()
    for pool in main data; do
        [ "$pool" = main ] || [ "$1" = zephyrus ] || continue
        truncate -s 48G "$shim/images/$1-$pool"
        loops+=("$(losetup --show -f "$shim/images/$1-$pool")")
        list+=" $pool = lib.mkForce \"${loops[-1]}\";"
    done
    # shellcheck disable=SC2034
    overrides="{ panther.storage.disks = {$list }; }"
}

# The partitions' loop devices are those with the same image.
devices_away() {
    umount -R /mnt 2>/dev/null || true
    mount -t tmpfs none /mnt
    local image loop
    for image in "$shim"/images/*; do
        [ -e "$image" ] || continue
        for loop in $(losetup -j "$image" | cut -d: -f1); do losetup -d "$loop"; done
        rm -f "$image"
    done
    rm -f /dev/disk/by-partlabel/* /dev/mapper/* "$shim"/luks-*
}

shims_away() {
    devices_away
    umount /mnt /dev/mapper /dev/disk
}
