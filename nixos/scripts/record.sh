#!/usr/bin/env bash
# ExecStopPost= of each job: writes down how it went, in jobs/JOB of the state folder, and sends figures.
#   PANTHER_JOB  PANTHER_STATE   and of systemd: SERVICE_RESULT EXIT_CODE EXIT_STATUS
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=nixos/scripts/metrics.sh
. "$here/metrics.sh"

# An attempt that found nothing to do says nothing.
[ "${SERVICE_RESULT:-success}" != exec-condition ] || exit 0

now=$(date +%s)
folder=$PANTHER_STATE/jobs
file=$folder/$PANTHER_JOB
mkdir -p "$folder"

# systemd says "success" also for what SuccessExitStatus= names; the exit code itself decides here. 3 is a usable snapshot
# that somebody should look at.
code=${EXIT_STATUS:-0}
[ "${EXIT_CODE:-exited}" = exited ] || code=130
[[ $code =~ ^[0-9]+$ ]] || code=1
[ "${SERVICE_RESULT:-success}" = success ] || [ "$code" != 0 ] || code=1

success=$(sed -n 's/^success=//p' "$file" 2>/dev/null || true)
case $code in
0 | 3) success=$now ;;
esac
printf 'finished=%s\nexit=%s\nresult=%s\nsuccess=%s\n' "$now" "$code" "${SERVICE_RESULT:-success}" "$success" >"$file.new"
mv "$file.new" "$file"

case $code in
0) status=0 ;;
3) status=1 ;;
*) status=2 ;;
esac
gauge unit.status "$status" "unit:$PANTHER_JOB"
gauge unit.success "$((status == 0))" "unit:$PANTHER_JOB"
gauge unit.exit_code "$code" "unit:$PANTHER_JOB"
gauge unit.finished_seconds "$now" "unit:$PANTHER_JOB"
service_check "$PANTHER_JOB" "$status"
write_prometheus "unit-$PANTHER_JOB"
