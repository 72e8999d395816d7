#!/bin/bash
# All benchmarks, then one table; build/bench/*.json has the samples.
#   tests/bench/run.sh [--window 300] [--edits 1000]      seconds at rest, edits in which nothing may grow
# A benchmark that fails does not hide the others. Ends with 1 when one failed, or missed a bar.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

make venv repo || exit 1
py=build/venv/bin/python
failed=()
rm -f build/bench/{edit,rest,hub_restart,failed_reload,nginx_reload,login,spawn,browser,kernel,homes,crowd,classroom}.json
mkdir -p build/bench

bench() { # NAME SECONDS COMMAND...: bounded, with its words in build/bench/NAME.log
    local name=$1 limit=$2
    shift 2
    printf '\n== %s\n' "$name"
    timeout --signal=INT --kill-after=120 "$limit" "$@" 2>&1 | tee "build/bench/$name.log" || failed+=("$name")
}

bench machine 5400 "$py" -m tests.bench.in_machine "$@"
bench classroom 2400 "$py" -m tests.bench.classroom --ahead
bench nginx_reload 600 "$py" tests/bench/nginx_reload.py
tests/guest_venv.sh || failed+=(guest_venv)
bench kernel 1200 build/guest-venv/bin/python -m tests.bench.kernel
bench homes 300 "$py" -m tests.bench.homes
bench login 600 build/hub-venv/bin/python tests/hub/bench_login.py build/bench/login.json
bench crowd 1800 build/hub-venv/bin/python tests/hub/bench_crowd.py build/bench/crowd.json

printf '\n== table\n'
"$py" -m tests.bench.table | tee build/bench/table.txt || failed+=(table)
((${#failed[@]} == 0)) || printf 'failed, or a bar missed: %s\n' "${failed[*]}"
((${#failed[@]} == 0))
