#!/usr/bin/env bash
# What should have happened: ages of the last successes and of the newest snapshots, their number, room on the disks. Sends figures;
# exit code 1 where something is too old or too full, with a line that says what.
#   WATCH_JOBS  lines of JOB SECONDS      WATCH_SNAPSHOTS  lines of FOLDER       WATCH_SNAPSHOT_AGE_SECONDS  WATCH_SNAPSHOT_LIMIT
#   WATCH_POOLS  lines of POOL FOLDER     WATCH_FULL_PERCENT (90)
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=nixos/scripts/metrics.sh
. "$here/metrics.sh"
now=$(date +%s)
bad=0
complain() {
    echo "$*" >&2
    bad=1
}

# Where a job never succeeded, its age counts from when this was first seen.
since=$PANTHER_STATE/watch
mkdir -p "$since"
while read -r job limit; do
    [ -n "$job" ] || continue
    success=$(sed -n 's/^success=//p' "$PANTHER_STATE/jobs/$job" 2>/dev/null || true)
    if [ -z "$success" ]; then
        [ -e "$since/$job" ] || echo "$now" >"$since/$job"
        success=$(<"$since/$job")
        what="has never succeeded"
    else
        what="succeeded last"
    fi
    age=$((now - success))
    gauge backup.age_seconds "$age" "job:$job"
    [ "$age" -le "$limit" ] || complain "$job: $what $((age / 3600)) h ago; the limit is $((limit / 3600)) h"
done <<<"${WATCH_JOBS:-}"

oldest_newest=0
over=0
while read -r folder; do
    [ -n "$folder" ] || continue
    names=$(find "${folder%/}/.panther" -mindepth 1 -maxdepth 1 -type d -regextype posix-extended \
        -regex '.*/[0-9]{8}T[0-9]{6}Z(-[A-Za-z0-9._-]+)?(\.[0-9]+)?' -printf '%f\n' 2>/dev/null | sort || true)
    count=$(grep -c . <<<"$names" || true)
    newest=$(tail -n 1 <<<"$names")
    gauge snapshot.count "$count" "subvolume:$folder"
    if [ "$count" -gt "${WATCH_SNAPSHOT_LIMIT:-1000}" ]; then
        over=$((over + count - WATCH_SNAPSHOT_LIMIT))
        complain "$folder: $count local snapshots; the retention keeps at most ${WATCH_SNAPSHOT_LIMIT}"
    fi
    if [ -z "$newest" ]; then
        [ -e "$since/snapshots" ] || echo "$now" >"$since/snapshots"
        age=$((now - $(<"$since/snapshots")))
    else
        t=${newest:0:15}
        age=$((now - $(date -u -d "${t:0:8} ${t:9:2}:${t:11:2}:${t:13:2}" +%s)))
    fi
    [ "$age" -le "$oldest_newest" ] || oldest_newest=$age
    [ "$age" -le "${WATCH_SNAPSHOT_AGE_SECONDS:-86400}" ] || complain "$folder: the newest local snapshot is $((age / 60)) min old"
done <<<"${WATCH_SNAPSHOTS:-}"
if [ -n "${WATCH_SNAPSHOTS:-}" ]; then
    gauge snapshot.age_seconds "$oldest_newest"
    gauge snapshot.over_limit "$over"
fi

while read -r pool folder; do
    [ -n "$pool" ] || continue
    percent=$(df --output=pcent "$folder" | tail -n 1 | tr -dc 0-9)
    gauge storage.used_ratio "$(awk -v p="$percent" 'BEGIN { printf "%.2f", p / 100 }')" "pool:$pool"
    [ "$percent" -le "${WATCH_FULL_PERCENT:-90}" ] || complain "$folder is $percent % full"
done <<<"${WATCH_POOLS:-}"

write_prometheus watch
exit "$bad"
