#!/usr/bin/env bash
# Compares the attributes of subvolumes with PANTHER_ATTRIBUTES, lines of: FOLDER, C or -, compression or -. What is empty is put right; of
# what is not, new files at least. Exit code 1 where something is left that differs, since +C does nothing to a file with content.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=nixos/scripts/metrics.sh
. "$here/metrics.sh"
wrong=0

has_c() { [[ $(lsattr -d "$1" 2>/dev/null | cut -d' ' -f1) == *C* ]]; }
compression() { btrfs property get "$1" compression 2>/dev/null | sed -n 's/^compression=//p'; }

while read -r folder c property; do
    [ -n "$folder" ] || continue
    if ! [ -d "$folder" ]; then
        echo "$folder does not exist" >&2
        wrong=$((wrong + 1))
        continue
    fi
    if [ "$c" = C ] && ! has_c "$folder"; then
        # The property is refused on a +C folder, and +C on one with the property.
        btrfs property set "$folder" compression "" 2>/dev/null || true
        chattr +C "$folder" 2>/dev/null || true
        echo "$folder had no +C; it has now, and files that are made from now on"
    fi
    if [ "$c" = - ] && has_c "$folder"; then
        echo "$folder has +C and should not: no checksums, no compression. Copy it into a new subvolume without it." >&2
        wrong=$((wrong + 1))
    fi
    if [ "$c" = C ]; then
        has_c "$folder" || { echo "$folder cannot be given +C" >&2; wrong=$((wrong + 1)); }
        # Files that were there before, or were moved here, keep what they had. The first is enough to tell.
        if stray=$(find "$folder" -xdev -path "$folder/.panther" -prune -o -type f -size +0 -print0 2>/dev/null | head -z -n 5000 |
            xargs -0 -r lsattr -- 2>/dev/null | awk '$1 !~ /C/ { sub(/^[^ ]+ /, ""); print; exit }') && [ -n "$stray" ]; then
            echo "$folder: copied on write in spite of +C on the folder: $stray. Stop what uses it, copy the files within the folder, start it again." >&2
            wrong=$((wrong + 1))
        fi
    elif [ "$property" != - ]; then
        if [ "$(compression "$folder")" != "$property" ]; then
            btrfs property set "$folder" compression "$property"
            echo "$folder had no compression=$property; it has now, and files that are made from now on"
        fi
    fi
done <<<"$PANTHER_ATTRIBUTES"

gauge storage.attributes_wrong "$wrong"
write_prometheus attributes
[ "$wrong" = 0 ]
