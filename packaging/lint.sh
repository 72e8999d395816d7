#!/bin/bash
# lintian over the built packages: errors and warnings fail.  packaging/lint.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
packaging/apt_install.sh lintian
shopt -s nullglob
packages=("${1:-dist}"/hubagent*.deb)
((${#packages[@]})) || { echo "no packages in ${1:-dist}; run packaging/build.sh first" >&2; exit 1; }
options=('--fail-on=error,warning' --tag-display-limit 0)
[[ $(id -u) == 0 ]] && options+=(--allow-root)
lintian "${options[@]}" "${packages[@]}"
