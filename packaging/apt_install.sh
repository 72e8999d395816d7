#!/bin/bash
# Install Debian packages that are missing:  apt_install.sh NAME...
set -euo pipefail
missing=()
for name in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || missing+=("$name")
done
((${#missing[@]})) || exit 0
[[ $(id -u) == 0 ]] || {
    echo "apt_install.sh: missing Debian packages; as root: apt-get install ${missing[*]}" >&2
    exit 1
}
exec 9>/tmp/apt.lock
flock 9
export DEBIAN_FRONTEND=noninteractive
# Somebody else may be installing, such as unattended-upgrades.
install=(apt-get -o DPkg::Lock::Timeout=300 install -yq --no-install-recommends "${missing[@]}")
"${install[@]}" >/dev/null 2>&1 || { apt-get update -q >/dev/null && "${install[@]}" >/dev/null; }
