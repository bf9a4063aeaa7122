# What the tests here share. Sourced.
# shellcheck shell=bash
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
NIXPKGS_LIB=${NIXPKGS_LIB:-}
DISKO=${DISKO:-}
export NIX_CONFIG="build-users-group ="

passed=0
failed=0
skipped=0
pass() { passed=$((passed + 1)); printf 'ok       %s\n' "$1"; }
fail() { failed=$((failed + 1)); printf 'FAILED   %s\n' "$1"; [ $# -lt 2 ] || printf '%s\n' "$2" | sed 's/^/         /'; }
skip() { skipped=$((skipped + 1)); printf 'SKIPPED  %s (%s)\n' "$1" "$2"; }
# check NAME COMMAND…: its output is shown where it fails
check() {
    local name=$1 said
    shift
    if said=$("$@" 2>&1); then pass "$name"; else fail "$name" "$said"; fi
}
# same NAME EXPECTED ACTUAL
same() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "expected: $2"$'\n'"actual:   $3"; fi; }
closing() {
    printf '%s passed, %s failed, %s skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" = 0 ]
}

# json EXPRESSION: with h = tests/host.nix in scope; by the real lib where it is given
json() {
    nix-instantiate --eval --strict --json --expr "let h = import $tests/host.nix { libPath = \"$NIXPKGS_LIB\"; diskoPath = \"${USE_DISKO-$DISKO}\"; }; inherit (h) lib; in $1"
}
# raw EXPRESSION: a string as it is
raw() { json "$1" | python3 -c 'import json, sys; sys.stdout.write(json.load(sys.stdin))'; }
