#!/usr/bin/env bash
# Around a backup of a PostgreSQL: removes archived segments of the write-ahead log that a restore of that backup does not need.
#   wal-trim.sh before ARCHIVE FOLDER     notes where recovery of what is now in FOLDER begins; the backup asks for a checkpoint, so it begins no earlier
#   wal-trim.sh after ARCHIVE FOLDER      after a success: what lies before that and is older than WAL_KEEP_SECONDS goes
# FOLDER holds the data folder, up to three levels below. Nothing here makes a backup fail.   PANTHER_STATE  PANTHER_JOB
set -uo pipefail
when=$1 archive=$2 folder=$3
note=$PANTHER_STATE/wal/$PANTHER_JOB
stay() {
    echo "the archived log is not thinned out: $*" >&2
    exit 0
}

if [ "$when" = before ]; then
    rm -f "$note"
    command -v pg_controldata >/dev/null || stay "there is no pg_controldata"
    control=$(find "$folder" -maxdepth 5 -path '*/global/pg_control' -not -path '*/.panther/*' -print -quit 2>/dev/null)
    [ -n "$control" ] || stay "there is no data folder below $folder"
    segment=$(LC_ALL=C pg_controldata -D "${control%/global/pg_control}" 2>/dev/null | sed -n "s/^Latest checkpoint's REDO WAL file: *//p")
    [[ $segment =~ ^[0-9A-F]{24}$ ]] || stay "pg_controldata does not say where recovery begins"
    mkdir -p "${note%/*}" && echo "$segment" >"$note"
    exit 0
fi

[ -r "$note" ] || exit 0
segment=$(<"$note")
now=$(date +%s)
old=()
for file in "$archive"/*; do
    name=${file##*/}
    # A segment, a part of one, the label of a base; histories of timelines stay. As pg_archivecleanup has it, timelines do not count.
    [[ $name =~ ^[0-9A-F]{24}(\.partial|\.[0-9A-F]{8}\.backup)?$ ]] || continue
    [[ ${name:8:16} < ${segment:8:16} ]] || continue
    [ $((now - $(stat -c %Y "$file"))) -ge "$WAL_KEEP_SECONDS" ] || continue
    old+=("$file")
done
[ ${#old[@]} -gt 0 ] || exit 0
# The folder is its owner's alone.
owner=$(stat -c %u:%g "$archive")
if [ "$(id -u)" = 0 ]; then
    setpriv --reuid="${owner%:*}" --regid="${owner#*:}" --clear-groups rm -f -- "${old[@]}" || stay "segments could not be removed"
else
    rm -f -- "${old[@]}" || stay "segments could not be removed"
fi
echo "${#old[@]} archived segments before $segment removed"
