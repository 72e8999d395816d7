#!/bin/sh
# Install what every image has.
set -eu

export DEBIAN_FRONTEND=noninteractive

if ! command -v apt-get >/dev/null; then
    echo "this image has no apt-get; set servers.NAME.build.base to one that is based on Debian or Ubuntu" >&2
    exit 1
fi

# A plain base has no certificates at all yet. Without them no package would come over TLS, so the machine's own
# authorities are there for that first step too.
if [ ! -e /etc/ssl/certs/ca-certificates.crt ] && ls /usr/local/share/ca-certificates/hubagent/*.crt >/dev/null 2>&1; then
    mkdir -p /etc/ssl/certs
    cat /usr/local/share/ca-certificates/hubagent/*.crt >/etc/ssl/certs/ca-certificates.crt
fi

apt-get update -q
apt-get install -yq --no-install-recommends \
    bash ca-certificates curl git less nano openssh-client procps python3 python3-venv tini unzip xz-utils
update-ca-certificates
apt-get clean
rm -rf /var/lib/apt/lists/*
