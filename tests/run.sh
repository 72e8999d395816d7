#!/bin/bash
# Everything CI runs. Lanes of stages run beside each other, since most tests wait more than they compute; each
# stage's output comes as a whole when it ends, and lies in build/test. A stage that fails does not hide what the
# others say. The last line counts the tests of all stages.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

make venv || exit 1
tests/guest_venv.sh || exit 1

py=build/venv/bin/python
hub=build/hub-venv/bin/python
guest=build/guest-venv/bin/python
accounts=(tests/hub/test_{admins,identity,signing_in,traits}.py)
starts=(tests/hub/test_{spawner,interrupted_starts,start_options,idle}.py)
declare -A commands=(
    [check]="make check"
    [unit]="$py -m pytest -q tests/unit tests/soak"
    [faults]="$py -m pytest -q tests/faults"
    [contract]="$py -m pytest -q tests/contract"
    [nginx]="$py -m pytest -q tests/nginx"
    # In three parts: together they would be the longest lane.
    [hub]="$hub -m pytest -q tests/hub ${accounts[*]/#/--ignore=} ${starts[*]/#/--ignore=}"
    [accounts]="$hub -m pytest -q ${accounts[*]}"
    [starts]="$hub -m pytest -q ${starts[*]}"
    [guest]="$guest -m pytest -q -m 'not slow' tests/guest"
    # In a network of their own: a kernel's ports are chosen before it listens, and another stage's could be the same.
    # What has to be fetched is fetched before.
    [kernels]="tests/guest_julia.sh && unshare --net sh -ec 'ip link set lo up; exec $guest -m pytest -q tests/guest_kernels'"
    [deb]="make repo lint-deb"
    [packages]="$py -m pytest -q tests/packages"
    # Debian 12 and 13 beside each other, most tests on one of them: `make test-releases` runs each on both, and
    # those that are slow.
    # What looks for traces on the host stays alone.
    [machine]="$py -m pytest -q -n 2 --dist loadgroup --one-release -m 'not slow' --durations=15 tests/machine --ignore=tests/machine/test_rig_traces.py"
    [rig]="$py -m pytest -q tests/machine/test_rig_traces.py"
    [browser]="$py -m pytest -q -n 2 tests/browser"
)
logs=build/test
rm -rf "$logs"
mkdir -p "$logs"
begun=$SECONDS

lanes() { # 'STAGE…'…: the stages of a lane one after the other, the lanes beside each other
    local lane
    for lane in "$@"; do
        for name in $lane; do stage "$name"; done &
    done
    wait
}

stage() { # NAME
    local TIMEFORMAT='%0R s, %0U + %0S s of processor'
    {
        time eval "${commands[$1]}" >"$logs/$1.log" 2>&1 </dev/null
        echo $? >"$logs/$1.status"
    } 2>"$logs/$1.time"
    {
        flock 9
        printf '\n== %s\n' "$1"
        cat "$logs/$1.log"
        printf -- '-- %s: %s\n' "$1" "$(<"$logs/$1.time")"
    } 9>"$logs/printing"
}

count() { # WORD LINE
    grep -oE "[0-9]+ $1" <<<"$2" | grep -oE '^[0-9]+' || echo 0
}

lanes check
lanes "guest kernels" "contract unit" "hub" "deb packages nginx accounts faults" "starts"
lanes machine
lanes rig
lanes browser

passed=0 failed=0 bad=()
for name in "${!commands[@]}"; do
    [[ $(cat "$logs/$name.status") == 0 ]] || bad+=("$name")
    last=$(grep -E '^(=+ )?[0-9]+ (passed|failed|error)' "$logs/$name.log" | tail -n 1)
    passed=$((passed + $(count passed "$last")))
    failed=$((failed + $(count failed "$last") + $(count 'errors?' "$last")))
done
printf '\n%d s in all\n' $((SECONDS - begun))
((${#bad[@]} == 0)) || printf 'failed stages: %s\n' "${bad[*]}"
((${#bad[@]} == 0 || failed > 0)) || failed=${#bad[@]}
printf '%d passed, %d failed\n' "$passed" "$failed"
((${#bad[@]} == 0 && failed == 0 && passed > 0))
