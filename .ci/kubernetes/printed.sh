#!/usr/bin/env bash
# Prints the commands or files below a heading of deploy/README.md, to be used as printed:
#
#   printed.sh commands "With Helm"     the lines that begin with $, with their continuation lines
#   printed.sh files "With Helm"        the files in YAML
set -euo pipefail
page=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../deploy" && pwd)/README.md
what=${1:-} heading=${2:?printed.sh: expected a heading}
case $what in
commands) fence=console ;;
files) fence=yaml ;;
*) echo "printed.sh: expected commands or files" >&2; exit 2 ;;
esac
awk -v heading="## $heading" -v fence="\`\`\`$fence" '
	/^## / { below = $0 == heading }
	!below { next }
	$0 == fence { inside = 1; next }
	/^```/ { inside = 0 }
	inside { print; found = 1 }
	END { if (!found) exit 1 }' "$page" |
	if [ "$what" = commands ]; then sed -n ':a; /\\$/{N; s/\\\n */ /; ba}; s/^\$ //p'; else cat; fi
