#!/usr/bin/env bash
# Tells of a unit that failed: the journal, DogStatsD, a webhook, mail, each where it is set up. alert.sh UNIT
#   ALERT_HOST  ALERT_REPEAT_SECONDS  ALERT_MAIL_TO   credential: webhook
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=nixos/scripts/metrics.sh
. "$here/metrics.sh"
unit=$1
now=$(date +%s)
folder=$PANTHER_STATE/alerts
mkdir -p "$folder"
last=$(cat "$folder/$unit" 2>/dev/null || echo 0)

result=$(systemctl show -p Result --value "$unit" 2>/dev/null || true)
code=$(systemctl show -p ExecMainStatus --value "$unit" 2>/dev/null || true)
lines=$(journalctl -u "$unit" -n 12 -o cat --no-pager 2>/dev/null || true)
title="panther: $unit failed on $ALERT_HOST"
text="result $result, exit code $code"$'\n'"$lines"

# For the journal: <3> is err.
printf '<3>%s (result %s, exit code %s)\n' "$title" "$result" "$code"
service_check "${unit%.service}" 2
if [ $((now - last)) -lt "${ALERT_REPEAT_SECONDS:-0}" ]; then
    echo "told of $((now - last)) s ago; not told again"
    exit 0
fi
event "$title" "$text" error

failed=0
if [ -n "${CREDENTIALS_DIRECTORY:-}" ] && [ -e "$CREDENTIALS_DIRECTORY/webhook" ]; then
    escaped=$(printf '%s\n%s' "$title" "$text" | awk '
        { gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); gsub(/\t/, "\\t"); gsub(/[\001-\037]/, "")
          printf "%s%s", (NR > 1 ? "\\n" : ""), $0 }')
    # The address is a secret: by standard input, not among the arguments, and nothing of curl's own words, which name it.
    if ! printf 'url = "%s"\n' "$(<"$CREDENTIALS_DIRECTORY/webhook")" |
        curl --silent --fail --max-time 30 --retry 3 --retry-connrefused -H 'Content-Type: application/json' \
            --data-binary "{\"text\":\"$escaped\"}" --output /dev/null --config -; then
        echo "the webhook could not be reached" >&2
        failed=1
    fi
fi
if [ -n "${ALERT_MAIL_TO:-}" ]; then
    # NixOS has it among the wrappers.
    PATH=$PATH:/run/wrappers/bin
    printf 'To: %s\nSubject: %s\n\n%s\n' "$ALERT_MAIL_TO" "$title" "$text" | sendmail -t || failed=1
fi
[ "$failed" = 1 ] || echo "$now" >"$folder/$unit"
exit "$failed"
