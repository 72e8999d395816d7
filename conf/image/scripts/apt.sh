#!/bin/sh
# Install the Debian packages listed in $1, one a line.
set -eu

export DEBIAN_FRONTEND=noninteractive

if [ ! -s "$1" ]; then
    echo "no further Debian packages are asked for"
    exit 0
fi
apt-get update -q
# -a: the names are arguments, whatever they are; "--" ends the options.
xargs -a "$1" apt-get install -yq --no-install-recommends --
apt-get clean
rm -rf /var/lib/apt/lists/*
