#!/usr/bin/env bash
# archive_command of PostgreSQL: wal-archive.sh SEGMENT TARGET. A segment appears whole, is on the disk before PostgreSQL is told so, and is
# never replaced by another one of the same name.
set -euo pipefail
segment=$1 target=$2
if [ -e "$target" ]; then
    cmp -s "$segment" "$target" && exit 0
    echo "$target is there already, with other content" >&2
    exit 1
fi
part=$(dirname "$target")/.$(basename "$target").part
cp "$segment" "$part"
sync "$part"
mv -n "$part" "$target"
sync "$(dirname "$target")"
