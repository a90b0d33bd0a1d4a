#!/usr/bin/env bash
# nats.sh PROGRAMS FOLDER: nats-py, nats.js and natscli read every mode and shape. PROGRAMS has connector and
# nats-server. A client that is not available is reported as "SKIPPED: why".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
programs=$1 folder=$2
mkdir -p "$folder"

source ./have.sh

have python python nats-py==2.16.0
have node node @nats-io/transport-node@3.4.0 @nats-io/jetstream@3.4.0
have natscli go github.com/nats-io/natscli/nats@v0.5.1
command -v python3 >/dev/null || { echo "SKIPPED: what holds readings against the truth needs python3"; exit 0; }
[ -n "$python$node$natscli" ] || exit 0
if [ -n "$node" ]; then
	modules=$node node=$folder/node # consume.mjs finds its packages beside itself
	mkdir -p "$node"
	ln -s "$modules/node_modules" "$node/node_modules"
	cp ../../deploy/consumers/nats/consume.mjs "$node"
fi
PYTHONDONTWRITEBYTECODE=1 python3 -u jetstream.py "$programs" "$folder/work" "$python" "$node" "$natscli"
