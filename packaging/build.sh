#!/bin/bash
# Build the Debian packages into dist/:  packaging/build.sh [--release] [--version X] [--into FOLDER]
# The tree is exported to build/deb first, so that the checkout stays as it is.
#   --release  compress well: a fifth smaller, and minutes slower
#   --version  another version than the changelog's (to test an upgrade); packages that are in
#              the folder already stay beside it
#   --into     another folder than dist/
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
version="" into=dist
export DEB_LEVEL=0
while (($#)); do
    case $1 in
        --release) export DEB_LEVEL=9 && shift ;;
        --version) version=${2:?--version needs a version} && shift 2 ;;
        --into) into=${2:?--into needs a folder} && shift 2 ;;
        *) echo "usage: packaging/build.sh [--release] [--version X] [--into FOLDER]" >&2 && exit 2 ;;
    esac
done

packaging/apt_install.sh build-essential debhelper dh-python fakeroot python3 python3-pip \
    python3-setuptools python3-wheel scdoc unzip
export HUBAGENT_CACHE=${HUBAGENT_CACHE:-$HOME/.cache/hubagent}

# One build at a time: they share build/deb.
mkdir -p build
exec 7>build/deb.lock
flock 7

work=$root/build/deb
tree=$work/hubagent
rm -rf "$work"
mkdir -p "$tree" "$into"
# What is tracked, and what is new and not ignored; less what is deleted but not committed yet.
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    [[ -e $file ]] && printf '%s\0' "$file"
done | tar -c --null -T - | tar -x -C "$tree"
cp -r "$tree/packaging/debian" "$tree/debian"

cd "$tree"
code=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' hubagent/__init__.py)
changelog=$(dpkg-parsechangelog -S Version)
[[ $code == "$changelog" ]] || {
    echo "hubagent/__init__.py says $code, packaging/debian/changelog says $changelog: make them agree" >&2
    exit 1
}
if [[ -n $version ]]; then
    sed -i "s/^__version__ = .*/__version__ = \"$version\"/" hubagent/__init__.py
    {
        printf 'hubagent (%s) unstable; urgency=medium\n\n  * Built for a test.\n\n' "$version"
        printf ' -- %s  %s\n\n' "$(dpkg-parsechangelog -S Maintainer)" "$(dpkg-parsechangelog -S Date)"
        cat debian/changelog
    } >debian/changelog.new
    mv debian/changelog.new debian/changelog
fi

log=$work/build.log
dpkg-buildpackage --build=binary --unsigned-source --unsigned-changes --no-pre-clean >"$log" 2>&1 || {
    tail -n 40 "$log" >&2
    echo "the build failed; its whole log: $log" >&2
    exit 1
}
cd "$root"
[[ -n $version ]] || rm -f "$into"/hubagent*.deb "$into"/hubagent*.changes "$into"/hubagent*.buildinfo
cp "$work"/hubagent*.deb "$work"/hubagent*.changes "$work"/hubagent*.buildinfo "$into/"
ls -1 "$into"/hubagent*"${version:-$changelog}"*.deb
