#!/bin/bash
# Everything CI runs, stage by stage; a stage that fails does not hide what the later ones say.
# The last line counts the tests of all stages.
set -uo pipefail
cd "$(dirname "$0")/.."

passed=0 failed=0 bad=()
begun=$SECONDS

stage() { # NAME COMMAND...: run it, and add up what pytest counted
    local name=$1 log=build/test/$1.log from=$SECONDS
    shift
    mkdir -p build/test
    printf '\n== %s\n' "$name"
    if "$@" 2>&1 | tee "$log"; then :; else bad+=("$name"); fi
    local last
    last=$(grep -E '^(=+ )?[0-9]+ (passed|failed|error)' "$log" | tail -n 1)
    passed=$((passed + $(count passed "$last")))
    failed=$((failed + $(count failed "$last") + $(count 'errors?' "$last")))
    printf -- '-- %s: %d s\n' "$name" $((SECONDS - from))
}

count() { # WORD LINE
    grep -oE "[0-9]+ $1" <<<"$2" | grep -oE '^[0-9]+' || echo 0
}

make venv || exit 1
tests/guest_venv.sh || exit 1
py=build/venv/bin/python
hub=build/hub-venv/bin/python
guest=build/guest-venv/bin/python

stage check make check
stage unit "$py" -m pytest -q tests/unit
stage contract "$py" -m pytest -q tests/contract
stage nginx "$py" -m pytest -q tests/nginx
stage hub "$hub" -m pytest -q tests/hub
stage guest "$guest" -m pytest -q tests/guest
stage kernels "$guest" -m pytest -q tests/guest_kernels
stage deb make repo lint-deb
stage packages "$py" -m pytest -q tests/packages
# Debian 12 and 13 beside each other: most of these tests wait. What looks for traces on the host stays alone.
stage machine "$py" -m pytest -q -n 2 --dist loadgroup tests/machine --ignore=tests/machine/test_rig_traces.py
stage rig "$py" -m pytest -q tests/machine/test_rig_traces.py
stage browser "$py" -m pytest -q tests/browser

printf '\n%d s in all\n' $((SECONDS - begun))
((${#bad[@]} == 0)) || printf 'failed stages: %s\n' "${bad[*]}"
((${#bad[@]} == 0 || failed > 0)) || failed=${#bad[@]}
printf '%d passed, %d failed\n' "$passed" "$failed"
((${#bad[@]} == 0 && failed == 0 && passed > 0))
