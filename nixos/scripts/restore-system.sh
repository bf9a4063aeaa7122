#!/usr/bin/env bash
# From a rescue system: brings the files of a host back into the file systems that Disko's script has made and mounted.
#   restore-system.sh HOST [TARGET]          TARGET: /mnt
# Repository and keys as for panther itself: PANTHER_REPOSITORY, PANTHER_B2_KEY_FILE, PANTHER_PASSWORD_FILE or PANTHER_IDENTITY_FILE, of the admin or
# a reader. RESTORE_TAG (nightly), RESTORE_DATABASES_TAG (databases): the newest snapshot with the second tag is laid over the first, if it is newer.
# RESTORE_AT: a snapshot's id instead of the newest one.   RESTORE_ATTRIBUTES: a file as attributes.sh takes it, to look at the result.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
host=${1:?"usage: restore-system.sh HOST [TARGET]"}
target=${2:-/mnt}
tag=${RESTORE_TAG:-nightly}
databases_tag=${RESTORE_DATABASES_TAG:-databases}
begin=$SECONDS
say() { printf '%4s s  %s\n' "$((SECONDS - begin))" "$*"; }

if ! findmnt -no FSTYPE "$target" | tail -n 1 | grep -qx btrfs; then
    echo "$target is no mounted Btrfs: run Disko's script first (docs/disaster-recovery.md)" >&2
    exit 2
fi
# Restoring over a machine that lives would mix two states.
if [ -z "${RESTORE_AT:-}" ] && [ -e "$target/etc/machine-id" ] && [ -z "${RESTORE_AGAIN:-}" ]; then
    echo "$target has an /etc/machine-id: something is installed or restored there already. Set RESTORE_AGAIN=1 to write over it." >&2
    exit 2
fi

# Both snapshots are looked for before anything is written.
newest() {
    panther snapshots --host "$host" --tag "$1" --json | python3 -c '
import json, sys
found = json.load(sys.stdin)["snapshots"]
last = max(found, key=lambda s: s["started"], default=None)
if last: print(last["id"], last["started"])'
}
read -r id time < <(if [ -n "${RESTORE_AT:-}" ]; then echo "$RESTORE_AT -"; else newest "$tag"; fi) || true
if [ -z "${id:-}" ]; then
    echo "the repository has no snapshot of $host with the tag $tag" >&2
    exit 2
fi
read -r over_id over_time < <([ -n "${RESTORE_AT:-}" ] || newest "$databases_tag") || true

say "restoring $host from $id ($time)"
panther restore "$id:/" --target "$target" --numeric-ids --overwrite
if [ -n "${over_id:-}" ] && [[ $over_time > $time ]]; then
    say "and the databases from $over_id ($over_time)"
    panther restore "$over_id:/" --target "$target" --numeric-ids --overwrite
fi

# Not in any backup, and wanted by whatever boots.
stamp=$(mktemp)
touch -r "$target" "$stamp"
for folder in dev proc sys run boot mnt tmp; do mkdir -p "$target/$folder"; done
touch -r "$stamp" "$target"
rm "$stamp"
chmod 1777 "$target/tmp"
[ ! -d "$target/var/tmp" ] || chmod 1777 "$target/var/tmp"

if [ -n "${RESTORE_ATTRIBUTES:-}" ]; then
    say "attributes"
    PANTHER_STATE=$target/var/lib/panther PANTHER_ATTRIBUTES=$(sed "s|^/ |$target |; s|^/\([^ ]\)|$target/\1|" "$RESTORE_ATTRIBUTES") bash "$here/attributes.sh"
fi
say "done. Next: nixos-install --root $target --flake .#$host --no-root-password"
