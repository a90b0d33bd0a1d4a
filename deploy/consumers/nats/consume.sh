#!/usr/bin/env bash
# Reads events from JetStream with natscli: a durable consumer, and the bodies of its next messages, each acknowledged.
# In structured mode a body is the whole event; in binary mode it is the data, and the attributes are headers.
#
#   go install github.com/nats-io/natscli/nats@latest
#   NATS_URL=nats://127.0.0.1:4222 consume.sh WHATSAPP 'whatsapp.>' shell 100
set -euo pipefail
stream=$1 subject=$2 durable=$3 count=$4

nats consumer info "$stream" "$durable" >/dev/null 2>&1 ||
	nats consumer add "$stream" "$durable" --pull --filter "$subject" --deliver all --ack explicit --defaults >/dev/null
nats consumer next "$stream" "$durable" --count "$count" --raw --ack
