#!/usr/bin/env bash
# Fetches packages for the tested clients from the registries, once, into a cache.
#
#   packages.sh python PACKAGE…   a virtual environment with them; prints its interpreter
#   packages.sh node PACKAGE…     a folder with them in node_modules; prints it
#   packages.sh go PACKAGE        a program; prints it
#
# The cache is $CLIENTS_CACHE, else ~/.cache/twochat-clients. If something is not available, the last line on standard
# error tells why.
set -euo pipefail

kind=$1
shift
cache=${CLIENTS_CACHE:-$HOME/.cache/twochat-clients}
folder=$cache/$kind-$(printf '%s\n' "$@" | sha256sum | head -c 16)

fail() { echo "$*" >&2; exit 1; }

# once COMMAND…: fills the folder, unless an earlier run filled it completely.
once() {
	[ ! -f "$folder/.complete" ] || return 0
	rm -rf "$folder"
	mkdir -p "$folder"
	"$@" >"$folder/log" 2>&1 || { { grep -m1 -iE '\berr(or|!)' "$folder/log" || tail -1 "$folder/log"; } >&2; exit 1; }
	touch "$folder/.complete"
}

case $kind in
python)
	command -v python3 >/dev/null || fail "there is no python3"
	environment() { python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --disable-pip-version-check -q "$@"; }
	once environment "$@"
	echo "$folder/venv/bin/python"
	;;
node)
	command -v npm >/dev/null || fail "there is no npm"
	modules() { cd "$folder" && echo '{"private":true}' >package.json && npm install --loglevel=error --no-audit --no-fund "$@"; }
	(once modules "$@")
	echo "$folder"
	;;
go)
	once env GOFLAGS='' GOBIN="$folder" go install "$1"
	find "$folder" -maxdepth 1 -type f -perm -u+x
	;;
esac
