#!/bin/sh
# Say in FOLDER/release what is in the folder: `VERSION SHA256`, the hash over all its files.
#   packaging/release.sh FOLDER VERSION
# Services read it when they start; the agent compares it with what is installed (hubagent/converge/observe.py).
set -eu
cd "$1"
rm -f release
digest=$(find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
printf '%s %s\n' "$2" "$digest" >release
