#!/bin/bash
# Make the hub's environment for this machine's Python, from the lock that the package uses,
# with the developers' tools beside it:  packaging/hub_venv.sh build/hub-venv
# Nothing is done when the environment is there and the locks are unchanged.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=${1:?usage: hub_venv.sh FOLDER}

locks=("$here/jupyterhub/requirements.txt" "$here/jupyterhub/requirements-dev.txt" "$0")
key=$(cat "${locks[@]}" | sha256sum)
[[ -f $target/.made-from && $(<"$target/.made-from") == "$key" ]] && exit 0

"$here/apt_install.sh" python3-venv python3-pip python3-setuptools python3-wheel
python=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
wheels=$(/usr/bin/python3 "$here/jupyterhub/wheels.py" "$python")

rm -rf "$target"
/usr/bin/python3 -m venv "$target"
"$target/bin/pip" install -q --no-index --no-deps "$wheels"/*.whl
"$target/bin/pip" install -q --require-hashes -r "$here/jupyterhub/requirements-dev.txt"
"$target/bin/pip" check
# As in the package, the hub's own code is found through a path file.
dirname "$here" >"$target/lib/python$python/site-packages/hubagent.pth"
printf '%s\n' "$key" >"$target/.made-from"
