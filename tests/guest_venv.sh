#!/bin/bash
# Make build/guest-venv: what a user's image has (the versions of the machine tests' image, and what serves Pluto),
# with pytest beside it. Nothing is done when it is there and its lists are unchanged; one at a time makes it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=$here/../build/guest-venv

mkdir -p "$here/../build"
exec 9>"$here/../build/guest-venv.lock"
flock 9
lists=("$here/machine/rig/image-requirements.txt" "$here/guest-requirements.txt")
key=$(cat "${lists[@]}" "$0" | sha256sum)
[[ -f $target/.made-from && $(<"$target/.made-from") == "$key" ]] && exit 0

"$here/../packaging/apt_install.sh" python3-venv bindfs
/usr/bin/python3 -m venv --clear "$target"
"$target/bin/pip" install -q --disable-pip-version-check -r "${lists[0]}" -r "${lists[1]}"
"$target/bin/pip" check --disable-pip-version-check >/dev/null
printf '%s\n' "$key" >"$target/.made-from"
