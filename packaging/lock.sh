#!/bin/bash
# Resolve the lock files anew:  packaging/lock.sh [--upgrade]
# Each lock serves every Python and processor that the packages serve. Locks name no index and no
# host, so they hold for a mirror as well.
set -euo pipefail
cd "$(dirname "$0")"
tools=../build/lock-venv
[[ -x $tools/bin/uv ]] || { /usr/bin/python3 -m venv "$tools" && "$tools/bin/pip" install -q uv; }
compile() {
    UV_CUSTOM_COMPILE_COMMAND=packaging/lock.sh "$tools/bin/uv" pip compile -q --no-config --universal \
        --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate "${@:3}" -o "$2" "$1"
}
compile jupyterhub/requirements.in jupyterhub/requirements.txt "$@"
(cd jupyterhub && tools=../$tools && compile requirements-dev.in requirements-dev.txt "$@")
compile ../tests/hub/fuzzer-requirements.in ../tests/hub/fuzzer-requirements.txt "$@"
compile proxy/node-requirements.in proxy/node-requirements.txt "$@"
(cd proxy && npm install --package-lock-only --omit=dev --omit-lockfile-registry-resolved --no-fund --no-audit)
