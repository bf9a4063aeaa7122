# Figures for DogStatsD and Prometheus. Sourced. Nothing here makes a job fail: who listens may be down.
#   PANTHER_DOGSTATSD  host:port        PANTHER_TAGS  a:b,c:d        PANTHER_PROMETHEUS  folder
# shellcheck shell=bash

# Datagrams go to /dev/udp, which is bash's own.
dogstatsd() {
    [ -n "${PANTHER_DOGSTATSD:-}" ] || return 0
    local host=${PANTHER_DOGSTATSD%:*} port=${PANTHER_DOGSTATSD##*:}
    { printf '%s' "$1" >"/dev/udp/$host/$port"; } 2>/dev/null || true
}

# gauge NAME VALUE [TAG:VALUE…]: panther.NAME and panther_NAME
gauge() {
    local name=$1 value=$2 tags label labels=
    shift 2
    tags=$(IFS=,; printf '%s' "$*")
    dogstatsd "panther.$name:$value|g|#${PANTHER_TAGS:+$PANTHER_TAGS${tags:+,}}$tags"
    local -a all=()
    IFS=, read -r -a all <<<"${PANTHER_TAGS:-}"
    for label in "${all[@]}" "$@"; do
        [[ $label == *:* ]] || continue
        labels+="${labels:+,}${label%%:*}=\"${label#*:}\""
    done
    PROMETHEUS_LINES+="panther_${name//./_}${labels:+{$labels\}} $value"$'\n'
}
PROMETHEUS_LINES=

# write_prometheus JOB: a file appears whole or not at all.
write_prometheus() {
    [ -n "${PANTHER_PROMETHEUS:-}" ] && [ -d "$PANTHER_PROMETHEUS" ] || return 0
    local file=$PANTHER_PROMETHEUS/panther-$1.prom
    { printf '%s' "$PROMETHEUS_LINES" >"$file.new" && chmod 644 "$file.new" && mv "$file.new" "$file"; } 2>/dev/null || return 0
}

# service_check UNIT STATUS: 0 good, 1 warning, 2 critical
service_check() {
    dogstatsd "_sc|panther.unit|$2|#${PANTHER_TAGS:+$PANTHER_TAGS,}unit:$1"
}

# event TITLE TEXT TYPE: in the service's own form, with lengths in bytes
event() {
    local title=$1 text=${2//$'\n'/\\n}
    local LC_ALL=C
    dogstatsd "_e{${#title},${#text}}:$title|$text|t:$3|s:panther${PANTHER_TAGS:+|#$PANTHER_TAGS}"
}
