#!/usr/bin/env bash
# Runs a program once for each list of arguments, also after one of them has failed.  each.sh PROGRAM [ARGUMENTS OF ALL] --each ARGUMENTS… --each …
# The exit code is the first that is not 0.
set -uo pipefail
common=()
while [ $# -gt 0 ] && [ "$1" != --each ]; do
    common+=("$1")
    shift
done
code=0
while [ $# -gt 0 ]; do
    shift
    own=()
    while [ $# -gt 0 ] && [ "$1" != --each ]; do
        own+=("$1")
        shift
    done
    "${common[@]}" "${own[@]}"
    this=$?
    [ "$code" != 0 ] || code=$this
done
exit "$code"
