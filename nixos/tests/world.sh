# A fake B2, listeners, and a repository with a writer's key: the world around a machine. Sourced after kit.sh.
# shellcheck shell=bash
programs=${PANTHER_BIN:-${CARGO_TARGET_DIR:-$tests/../../target}/debug}
world_pids=()

# world FOLDER HOST: starts it; sets b2_port, statsd_port, webhook_port; writes HOST's secrets into FOLDER/secrets
world() {
    world=$1
    mkdir -p "$world/secrets" "$world/said" "$world/state"
    "$programs/examples/fake_b2" --json </dev/null >"$world/b2.json" 2>"$world/b2.err" &
    world_pids+=("$!")
    python3 "$tests/listen.py" "$world/said" >"$world/ports" &
    world_pids+=("$!")
    local _
    for _ in $(seq 100); do
        [ -s "$world/b2.json" ] && [ -s "$world/ports" ] && break
        sleep 0.1
    done
    read -r statsd_port webhook_port <"$world/ports"
    b2_endpoint=$(b2 endpoint)
    repository=b2://$(b2 bucket)/fleet
    printf 'the admin\n' >"$world/secrets/admin-password"
    printf 'the writer of %s\n' "$2" >"$world/secrets/panther-password"
    printf '%s\n%s\n' "$(b2 admin.id)" "$(b2 admin.key)" >"$world/secrets/admin-b2-key"
    printf '%s\n%s\n' "$(b2 writer.id)" "$(b2 writer.key)" >"$world/secrets/b2-key"
    cp "$world/secrets/b2-key" "$world/secrets/b2-read-key"
    printf 'http://127.0.0.1:%s/alerts' "$webhook_port" >"$world/secrets/slack-webhook"
    chmod -R go= "$world/secrets"
    admin init --quiet
    admin key add --quiet --role writer --writer "$2" --new-password-file "$world/secrets/panther-password" >/dev/null
}
# b2 PATH: what the fake said when it began
b2() {
    python3 - "$world/b2.json" "$1" <<'PY'
import json, sys
value = json.loads(open(sys.argv[1]).readline())
for name in sys.argv[2].split("."):
    value = value[name]
print(value)
PY
}
# admin ARGUMENTS…: panther with the admin's keys
admin() {
    "$programs/panther" -r "$repository" --b2-endpoint "$b2_endpoint" --b2-key-file "$world/secrets/admin-b2-key" \
        --password-file "$world/secrets/admin-password" --state-dir "$world/state" "$@"
}
world_away() {
    [ ${#world_pids[@]} = 0 ] || kill "${world_pids[@]}" 2>/dev/null || true
    wait "${world_pids[@]}" 2>/dev/null || true
}
