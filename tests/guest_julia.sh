#!/bin/bash
# Print the path of a real Julia 1.5.3, unpacked from Debian 11's packages; it is cached and made only once.
# Its libunwind8 must come from the same suite, or Julia crashes when an exception passes through new code; only
# the C library and what it needs are this machine's.
set -euo pipefail
cache=${HUBAGENT_CACHE:-$HOME/.cache/hubagent}/julia
suite=bullseye packages=julia,libunwind8
folder=$cache/$(printf '%s' "$suite $packages" "$(cat "$0")" | sha256sum | cut -c1-16)

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [[ ! -x $folder/julia ]]; then
    "$(dirname "$0")/../packaging/apt_install.sh" mmdebstrap >&2
    # shellcheck disable=SC2016  # apt expands these
    archive=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" { print $2; exit }')
    mapfile -t options < <(apt-config dump | grep -E '^Acquire::(https?::|Check-|Retries)' | sed 's/;$//; s/^/--aptopt=/')
    work=$(mktemp -d -p "$cache")
    trap 'rm -rf "$work"' EXIT
    mmdebstrap --quiet --variant=extract --include="$packages" "${options[@]}" \
        --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
        "$suite" "$work/root" "deb $archive $suite main" >&2
    libraries=$folder/root/usr/lib/$(uname -m)-linux-gnu
    cat >"$work/julia" <<WRAPPER
#!/bin/sh
LD_LIBRARY_PATH=$libraries:$libraries/julia exec $folder/root/usr/bin/julia "\$@"
WRAPPER
    chmod +x "$work/julia"
    chmod 755 "$work"
    rm -rf "$folder"
    mv "$work" "$folder"
    trap - EXIT
fi
touch "$folder"
echo "$folder/julia"
