#!/usr/bin/env bash
# ExecCondition= of a backup that is tried often: exit code 0 where it is due, 1 where it is not (the attempt is then skipped, and the
# reason is in the journal), 255 where that cannot be told (the unit then fails).
#   PANTHER_JOB  PANTHER_STATE  DUE_AFTER_SECONDS  DUE_CATCH_UP_SECONDS  DUE_IGNORE_BATTERY_SECONDS  DUE_BUSY_FROM  DUE_BUSY_TO
#   POWER_SUPPLIES, DUE_NOW: for tests
set -uo pipefail
trap 'exit 255' ERR

now=${DUE_NOW:-$(date +%s)}
file=$PANTHER_STATE/jobs/$PANTHER_JOB
success=0
if [ -e "$file" ]; then
    success=$(sed -n 's/^success=//p' "$file")
fi
age=$((now - ${success:-0}))

# A clock that went back: better a backup too many.
[ "$age" -ge 0 ] || age=$DUE_CATCH_UP_SECONDS

on_battery() {
    local supply kind mains=0 online=0 battery=0
    for supply in "${POWER_SUPPLIES:-/sys/class/power_supply}"/*; do
        [ -r "$supply/type" ] || continue
        kind=$(<"$supply/type")
        case $kind in
        Mains | USB)
            [ -r "$supply/online" ] || continue
            mains=1
            [ "$(<"$supply/online")" != 1 ] || online=1
            ;;
        Battery) battery=1 ;;
        esac
    done
    [ "$battery" = 1 ] && [ "$mains" = 1 ] && [ "$online" = 0 ]
}

minutes() {
    local h=${1%%:*} m=${1##*:}
    echo $((10#$h * 60 + 10#$m))
}

# Saturday and Sunday have no working hours.
busy() {
    local clock weekday
    weekday=$(date -d "@$now" +%u)
    clock=$(minutes "$(date -d "@$now" +%H:%M)")
    [ "$weekday" -le 5 ] && [ "$clock" -ge "$(minutes "$DUE_BUSY_FROM")" ] && [ "$clock" -lt "$(minutes "$DUE_BUSY_TO")" ]
}

hours=$((age / 3600))
if [ "${success:-0}" = 0 ]; then
    since="there was none yet"
else
    since="the last one is $hours h old"
fi
if [ "$age" -lt "$DUE_AFTER_SECONDS" ]; then
    echo "not due: $since"
    exit 1
fi
if [ "$age" -lt "$DUE_IGNORE_BATTERY_SECONDS" ] && on_battery; then
    echo "postponed, on battery: $since"
    exit 1
fi
if [ "$age" -lt "$DUE_CATCH_UP_SECONDS" ] && busy; then
    echo "postponed to after $DUE_BUSY_TO: $since"
    exit 1
fi
echo "due: $since"
