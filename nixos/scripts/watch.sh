#!/usr/bin/env bash
# What should have happened: ages of the last successes and of the newest snapshots, their number, room on the disks. Exit code 1 where something
# is too old or too full, with a line that says what: told of without anybody's agent. The same as figures: `panther metrics`.
#   WATCH_JOBS  lines of JOB SECONDS      WATCH_SNAPSHOTS  lines of FOLDER       WATCH_SNAPSHOT_AGE_SECONDS  WATCH_SNAPSHOT_LIMIT
#   WATCH_FULL  lines of FOLDER, of each file system one     WATCH_FULL_PERCENT (90)
set -euo pipefail
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
    [ "$age" -le "$limit" ] || complain "$job: $what $((age / 3600)) h ago; the limit is $((limit / 3600)) h"
done <<<"${WATCH_JOBS:-}"

while read -r folder; do
    [ -n "$folder" ] || continue
    names=$(find "${folder%/}/.panther" -mindepth 1 -maxdepth 1 -type d -regextype posix-extended \
        -regex '.*/[0-9]{8}T[0-9]{6}Z(-[A-Za-z0-9._-]+)?(\.[0-9]+)?' -printf '%f\n' 2>/dev/null | sort || true)
    count=$(grep -c . <<<"$names" || true)
    newest=$(tail -n 1 <<<"$names")
    if [ "$count" -gt "${WATCH_SNAPSHOT_LIMIT:-1000}" ]; then
        complain "$folder: $count local snapshots; the retention keeps at most ${WATCH_SNAPSHOT_LIMIT}"
    fi
    if [ -z "$newest" ]; then
        [ -e "$since/snapshots" ] || echo "$now" >"$since/snapshots"
        age=$((now - $(<"$since/snapshots")))
    else
        t=${newest:0:15}
        age=$((now - $(date -u -d "${t:0:8} ${t:9:2}:${t:11:2}:${t:13:2}" +%s)))
    fi
    [ "$age" -le "${WATCH_SNAPSHOT_AGE_SECONDS:-86400}" ] || complain "$folder: the newest local snapshot is $((age / 60)) min old"
done <<<"${WATCH_SNAPSHOTS:-}"

while read -r folder; do
    [ -n "$folder" ] || continue
    percent=$(df --output=pcent "$folder" | tail -n 1 | tr -dc 0-9)
    [ "$percent" -le "${WATCH_FULL_PERCENT:-90}" ] || complain "$folder is $percent % full"
done <<<"${WATCH_FULL:-}"

exit "$bad"
