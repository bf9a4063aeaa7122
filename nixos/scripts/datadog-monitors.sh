#!/usr/bin/env bash
# Monitors from standard input (`panther alerts --datadog`) into Datadog, once it finds all of them valid: those of the same name are replaced, others
# made, none removed.
#   DD_API_KEY  DD_APP_KEY  DD_SITE (datadoghq.eu)     DD_ENDPOINT: another address, for tests
set -euo pipefail
endpoint=${DD_ENDPOINT:-https://api.${DD_SITE:-datadoghq.eu}}
wanted=$(jq -c '.[]')
# The keys are secrets: by standard input, not among the arguments.
call() {
    printf 'header = "DD-API-KEY: %s"\nheader = "DD-APPLICATION-KEY: %s"\n' "$DD_API_KEY" "$DD_APP_KEY" |
        curl --fail --silent --show-error --retry 3 --max-time 60 --config - -H 'Content-Type: application/json' "$@"
}
while IFS= read -r monitor; do
    if ! call -X POST --data-binary "$monitor" --output /dev/null "$endpoint/api/v1/monitor/validate"; then
        echo "Datadog does not take this one; nothing was changed: $monitor" >&2
        exit 1
    fi
done <<<"$wanted"
there=$(call "$endpoint/api/v1/monitor?monitor_tags=managed-by:panther&page=0&page_size=1000" | jq -c 'map({(.name): .id}) | add // {}')
made=0
replaced=0
while IFS= read -r monitor; do
    id=$(jq -r --argjson there "$there" '$there[.name] // empty' <<<"$monitor")
    if [ -n "$id" ]; then
        call -X PUT --data-binary "$monitor" --output /dev/null "$endpoint/api/v1/monitor/$id"
        replaced=$((replaced + 1))
    else
        call -X POST --data-binary "$monitor" --output /dev/null "$endpoint/api/v1/monitor"
        made=$((made + 1))
    fi
done <<<"$wanted"
echo "$made made, $replaced replaced"
