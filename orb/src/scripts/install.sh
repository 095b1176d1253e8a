#!/usr/bin/env bash
# Installs a pinned version of convox-ci: downloads it, compares it with its SHA-256
# and puts it in place whole. An installed one of that version is kept.
#
# bash 3.2 has to do, which is what macOS has.
if [ -z "${BASH_VERSION-}" ]; then
	echo "error: the steps of this orb need bash, which this image lacks" >&2
	exit 1
fi
set -euo pipefail

# What scripts/release-orb of the repository writes: the version that this orb was
# released with, and the lines of its checksums.txt. Other versions are verified by
# the checksums that are published with them.
released=
checksums=

fail() {
	printf 'error: %s\n' "$1" >&2
	exit 1
}

# quote prints a text as one word of a shell.
quote() {
	local apostrophe="'\\''"
	printf "'%s'" "${1//\'/$apostrophe}"
}

# later adds a line to what later steps of the job begin with.
later() {
	if [ -n "${BASH_ENV-}" ]; then
		printf '%s\n' "$1" >>"$BASH_ENV"
	fi
}

# says prints the version that an installed program says it has.
says() {
	local version
	version=$("$1" version 2>/dev/null </dev/null) || return 1
	printf '%s' "${version#v}"
}

# sha256 prints the SHA-256 of a file.
sha256() {
	if command -v sha256sum >/dev/null 2>&1; then
		sha256sum <"$1" | cut -d ' ' -f 1
	elif command -v shasum >/dev/null 2>&1; then
		shasum -a 256 <"$1" | cut -d ' ' -f 1
	else
		fail "neither sha256sum nor shasum is there to verify the download with"
	fi
}

# fetch downloads a URL to a file. The URL has no credentials: these would be in
# the arguments of a process.
fetch() {
	if command -v curl >/dev/null 2>&1; then
		curl --fail --silent --show-error --location --netrc-optional --retry 3 --connect-timeout 30 --output "$2" "$1"
	elif command -v wget >/dev/null 2>&1; then
		wget -q --tries=3 --timeout=30 -O "$2" "$1"
	else
		fail "neither curl nor wget is there to download with"
	fi || fail "could not download $1"
}

# entry prints the SHA-256 that lines in the format of sha256sum give for a file.
entry() {
	awk -v name="$1" '$2 == name || $2 == "*" name { print $1; exit }'
}

version=${PARAM_VERSION#v}
if ! [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+([-+.][0-9A-Za-z.+-]*)?$ ]]; then
	fail "version: \"$version\" is not a version; accepted: three numbers, as in 1.2.3"
fi

# A step that only makes sure of convox-ci leaves alone what the job has installed.
if [[ ${PARAM_KEEP-} =~ ^(1|true)$ && -x ${CONVOX_CI_INSTALLED-} ]]; then
	echo "convox-ci is installed: $CONVOX_CI_INSTALLED"
	exit 0
fi

case $(uname -s) in
Linux) system=linux ;;
Darwin) system=darwin ;;
*) fail "there is no convox-ci for $(uname -s); there is for Linux and macOS" ;;
esac
case $(uname -m) in
x86_64 | amd64) machine=amd64 ;;
aarch64 | arm64) machine=arm64 ;;
*) fail "there is no convox-ci for $(uname -m); there is for amd64 and arm64" ;;
esac
artefact=convox-ci_${system}_$machine

# What was pinned: one checksum, or that of each artefact, as in checksums.txt.
pinned=${PARAM_CHECKSUM-}
if [ -z "$pinned" ] && [ "$version" = "$released" ]; then
	pinned=$checksums
fi
if [[ $pinned == *[[:space:]]* ]]; then
	pinned=$(printf '%s\n' "$pinned" | entry "$artefact")
	[ -n "$pinned" ] || fail "checksum: has no line for $artefact"
fi
pinned=$(printf '%s' "$pinned" | tr 'A-F' 'a-f')

base=${PARAM_DOWNLOAD_URL%/}
if ! [[ $base =~ ^https?://[^/[:space:]]+(/[^[:space:]]*)?$ ]]; then
	fail "download_url: is not a URL; accepted: https://HOST/PATH"
fi
host=${base#*://}
if [[ ${host%%/*} == *@* ]]; then
	fail "download_url: has credentials in it; accepted: those of its host in ~/.netrc"
fi

# The directory, or that of the user where it may not be written to.
directory=${PARAM_INSTALL_PATH:-/usr/local/bin}
# shellcheck disable=SC2088 # a parameter is text: nobody else expands it
case $directory in
'~') directory=$HOME ;;
'~/'*) directory=$HOME/${directory#'~/'} ;;
esac
if ! mkdir -p -- "$directory" 2>/dev/null || ! [ -w "$directory" ]; then
	echo "$directory may not be written to: installing to $HOME/.local/bin"
	directory=$HOME/.local/bin
	mkdir -p -- "$directory" || fail "$directory could not be made"
fi
directory=$(cd -- "$directory" && pwd)
target=$directory/convox-ci

# installed tells later steps of the job where the program is.
installed() {
	later "export CONVOX_CI_INSTALLED=$(quote "$1")"
	if [ "$(command -v convox-ci)" != "$1" ]; then
		later "export PATH=$(quote "${1%/*}"):\"\$PATH\""
	fi
	echo "convox-ci $version: $1"
	exit 0
}

for program in "$(command -v convox-ci || true)" "$target"; do
	[ -x "$program" ] || continue
	# What is not as it was pinned is not even asked for its version.
	[ -z "$pinned" ] || [ "$(sha256 "$program")" = "$pinned" ] || continue
	if [ "$(says "$program")" = "$version" ]; then
		installed "$program"
	fi
done

# In the directory itself, so that the last step is a rename.
new=$(mktemp -d "$directory/.convox-ci.XXXXXX")
trap 'rm -rf "$new"' EXIT
echo "Downloading $base/v$version/$artefact"
fetch "$base/v$version/$artefact" "$new/convox-ci"
if [ -z "$pinned" ]; then
	fetch "$base/v$version/checksums.txt" "$new/checksums.txt"
	pinned=$(entry "$artefact" <"$new/checksums.txt")
	[ -n "$pinned" ] || fail "checksums.txt of version $version has no line for $artefact"
fi
[[ $pinned =~ ^[0-9a-f]{64}$ ]] || fail "checksum: is not a SHA-256; accepted: 64 digits from 0 to f"
got=$(sha256 "$new/convox-ci")
[ "$got" = "$pinned" ] || fail "the download is not what was published: its SHA-256 is $got, and not $pinned. Nothing was installed"
chmod 755 "$new/convox-ci"
says "$new/convox-ci" >/dev/null || fail "the program that was downloaded does not run on this machine. Nothing was installed"
mv -f "$new/convox-ci" "$target"
installed "$target"
