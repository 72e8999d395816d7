#!/bin/bash
# Make a signed APT repository of the built packages:  packaging/repo.sh [--from dist] [--into dist/repo]
# One suite, `stable`, serves Debian 12 and 13 alike. The folder can be copied to a machine or to
# any web server as it is:
#   add.sh            run on a machine, makes its apt use the folder that the script lies in
#   hubagent.gpg      the public key
#   hubagent.sources  for /etc/apt/sources.list.d, once the folder's address is filled in
# It is signed with $HUBAGENT_SIGN_KEY, a key of the caller's keyring; without that, with a throw-away
# key that is kept in $HUBAGENT_CACHE.
set -euo pipefail
cd "$(dirname "$0")/.."
from=dist into=dist/repo
while (($#)); do
    case $1 in
        --from) from=${2:?--from needs a folder} && shift 2 ;;
        --into) into=${2:?--into needs a folder} && shift 2 ;;
        *) echo "usage: packaging/repo.sh [--from FOLDER] [--into FOLDER]" >&2 && exit 2 ;;
    esac
done
shopt -s nullglob
packages=("$from"/hubagent*.deb)
((${#packages[@]})) || { echo "no packages in $from; run packaging/build.sh first" >&2; exit 1; }
packaging/apt_install.sh gnupg reprepro

key=${HUBAGENT_SIGN_KEY:-}
if [[ -z $key ]]; then
    export GNUPGHOME=${HUBAGENT_CACHE:-$HOME/.cache/hubagent}/signing-key
    install -d -m 0700 "$GNUPGHOME"
    trap 'gpgconf --kill all' EXIT
    exec 8>"$GNUPGHOME/.lock"
    flock 8
    if ! gpg --batch --quiet --list-secret-keys hubagent-packages >/dev/null 2>&1; then
        gpg --batch --quiet --passphrase '' --quick-generate-key hubagent-packages ed25519 sign never
    fi
    key=$(gpg --batch --with-colons --list-secret-keys hubagent-packages | sed -n 's/^fpr:::::::::\([0-9A-F]*\):$/\1/p' | head -n 1)
fi

work=$(mktemp -d)
trap 'rm -rf "$work"; [[ -n ${HUBAGENT_SIGN_KEY:-} ]] || gpgconf --kill all' EXIT
mkdir "$work/conf"
cat >"$work/conf/distributions" <<SETTINGS
Origin: hubagent
Label: hubagent
Codename: stable
Suite: stable
Architectures: amd64 arm64
Components: main
Description: hubagent and what it needs, for Debian 12 and 13
SignWith: $key
SETTINGS
rm -rf "$into"
mkdir -p "$into"
# Of several versions in the folder the highest is kept.
reprepro --silent --confdir "$work/conf" --dbdir "$work/db" --outdir "$(realpath "$into")" \
    includedeb stable "${packages[@]}"

gpg --batch --quiet --export "$key" >"$into/hubagent.gpg"
cat >"$into/hubagent.sources" <<'SOURCES'
# Copy hubagent.gpg to /usr/share/keyrings, this file to /etc/apt/sources.list.d, and put the address
# of the folder here.
Types: deb
URIs: https://packages.example.org/hubagent
Suites: stable
Components: main
Signed-By: /usr/share/keyrings/hubagent.gpg
SOURCES
cat >"$into/add.sh" <<'SCRIPT'
#!/bin/sh
# Let this machine's apt use the repository in the folder of this script:  sh add.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
install -m 0644 "$here/hubagent.gpg" /usr/share/keyrings/hubagent.gpg
sed -e '/^#/d' -e "s#^URIs: .*#URIs: file:$here#" "$here/hubagent.sources" >/etc/apt/sources.list.d/hubagent.sources
SCRIPT
chmod 0755 "$into/add.sh"
echo "$into: $(find "$into" -name '*.deb' | wc -l) packages, signed with $key"
