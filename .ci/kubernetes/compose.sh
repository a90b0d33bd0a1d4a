#!/usr/bin/env bash
# Runs deploy/compose.yaml with Docker Compose 2, by the commands of deploy/README.md for it and for the image, exactly as
# printed: the brokers, the connector built from this checkout, and events in NATS and in Kafka. It needs root, Debian's
# docker.io, and the folder that image.sh left.
#
#   compose.sh FOLDER COMPOSE KAFKA       the program of Docker Compose; the folder with Kafka's jars
#
# No image registry can be reached. Substitutes have the names of the compose file's images: this module's NATS server, and
# Apache Kafka's jars with the machine's java and a script that reads the same variables as the official image. A fake
# 2Chat has 2Chat's name.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
work=$(realpath -m "${1:?compose.sh: expected a folder}")
compose=$(realpath "${2:?compose.sh: expected the program of Docker Compose}")
jars=$(realpath "${3:?compose.sh: expected the folder of the jars}")
fail() {
	echo "FAILED: $*" >&2
	docker ps -a >&2 || true
	for name in $(docker ps -aq 2>/dev/null); do docker logs --tail 5 "$name" >&2 || true; done
	exit 1
}
. "$here/engine.sh"
trap engine_stop EXIT
SECONDS=0
say() { printf '%4d s  %s\n' $SECONDS "$*"; }
engine_start
mkdir -p "$work/client/cli-plugins" "$work/path"
ln -sf "$compose" "$work/client/cli-plugins/docker-compose"

# The user's curl runs where the published ports are.
printf '#!/bin/sh\nexec nsenter --net=/run/netns/engine /usr/bin/curl "$@"\n' >"$work/path/curl"
chmod +x "$work/path/curl"
PATH=$work/path:$PATH
cd "$top"

kafka_image() {
	local root=$work/kafka java part
	java=$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")
	mkdir -p "$root"/{bin,lib64,tmp,proc,sys,dev,etc,opt/kafka,var/lib/kafka/data} "$root/$java"
	for part in bin conf lib; do cp -a "$java/$part" "$root/$java/"; done
	rm -f "$root/$java/lib/src.zip"
	# Debian keeps its configuration in /etc.
	cp -a /etc/java-*-openjdk "$root/etc/" 2>/dev/null || true
	# The libraries that java is linked against, and those that the jars' compression needs.
	{
		ldd "$java"/bin/java "$java"/lib/lib{java,net,nio,zip}.so "$java"/lib/server/libjvm.so | grep -o '/[^ ]* (0x' | cut -d' ' -f1 | grep -v "^$java"
		ldconfig -p | grep -oE '/[^ ]*x86[^ ]*/lib(stdc\+\+\.so\.6|gcc_s\.so\.1|m\.so\.6|pthread\.so\.0|dl\.so\.2|rt\.so\.1)$'
	} | sort -u |
		while read -r part; do mkdir -p "$root/$(dirname "$part")" && cp -L "$part" "$root/$part"; done
	cp /bin/busybox "$root/bin/"
	for part in sh env grep tr; do ln -s busybox "$root/bin/$part"; done
	ln -s "$java/bin/java" "$root/bin/java"
	cp "$jars"/*.jar "$root/opt/kafka/"
	cat >"$root/bin/start" <<-'SH'
		#!/bin/sh
		# As in the official image, KAFKA_NODE_ID sets node.id.
		env | grep ^KAFKA_ | while IFS='=' read -r name value; do
			echo "$(echo "${name#KAFKA_}" | tr A-Z_ a-z.)=$value"
		done >/tmp/server.properties
		java -cp '/opt/kafka/*' kafka.tools.StorageTool format --ignore-formatted --cluster-id "$CLUSTER_ID" -c /tmp/server.properties || exit 1
		exec java -Xmx512m -XX:+UseSerialGC -cp '/opt/kafka/*' kafka.Kafka /tmp/server.properties
	SH
	chmod +x "$root/bin/start"
	tar -C "$root" -c . | docker import -c 'ENV PATH=/bin' -c 'ENTRYPOINT ["/bin/start"]' - apache/kafka:4.1.0 >/dev/null
	rm -rf "$root"
}

# within SECONDS TEXT COMMAND …: waits until it succeeds.
within() {
	local end=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || fail "not in time: $what"
		sleep 0.3
	done
}
# as_printed COMMAND: runs it as printed, except for the key. It runs in this shell, so that its exports stay.
as_printed() {
	say "\$ $1"
	eval "${1//UAK…/UAKfirst}" >"$work/said" 2>&1 || { cat "$work/said" >&2; fail "as printed: $1"; }
}
ready() { [ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$1/readyz")" = 200 ]; }
# audited WHAT: stops new messages, and checks that each message since the first read is in the stream once.
clean() {
	curl -sS --fail-with-body "$fake/-/audit?nats=nats://nats:4222&log=WHATSAPP&of=595981048477&now=595981048477" >"$work/audit"
}
audited() {
	sleep 5 # two messages a second come in; without any since the start nothing would be proven
	curl -fsS -X POST "$fake/-/quiet"
	(within 90 "$1: every message once" clean) || { cat "$work/audit" >&2; exit 1; }
	say "$1: $(cat "$work/audit")"
	curl -fsS -X POST "$fake/-/resume"
}
mapfile -t lines < <("$here/printed.sh" commands "With Docker Compose")
mapfile -t image < <("$here/printed.sh" commands Image)
[ ${#lines[@]} = 5 ] && [ ${#image[@]} = 3 ] || fail "deploy/README.md prints other commands than are known here"

kafka_image
# It runs as root, like the official image.
nats=$(docker create local/nats-server:1)
docker export "$nats" | docker import -c 'ENTRYPOINT ["/program"]' - nats:2.12-alpine >/dev/null
docker rm "$nats" >/dev/null
as_printed "${lines[0]}"
docker run -d --name api --user 0 --network twochat-connector_default --network-alias api.p.2chat.io local/fake:1 \
	serve -tls :443 -key UAKfirst -numbers +595981048477 >/dev/null
fake=http://$(docker inspect -f '{{(index .NetworkSettings.Networks "twochat-connector_default").IPAddress}}' api):9900
as_printed "${lines[1]}"

as_printed "${image[0]}"
echo "SKIPPED: building for two processors into a registry, which is not to be had here: ${image[1]}"
say "\$ ${image[2]}"
eval "${image[2]}" >"$work/run.log" 2>&1 &
within 60 "the image by itself is ready" ready 8080
audited "docker run"
docker stop "$(docker ps -q --filter ancestor=twochat-connector)" >/dev/null
wait $! || { tail -5 "$work/run.log" >&2; fail "the container did not end well"; }

as_printed "${lines[2]}"
within 60 "the connector for JetStream is ready" ready 8080
as_printed "${lines[3]}"
audited "docker compose, JetStream"
as_printed "${lines[2]/jetstream/kafka}"
within 90 "the connector for Kafka is ready" ready 8081
timeout 60 docker run --rm --network twochat-connector_default twochat-connector tail --json --last 3 --number "$NUMBER" \
	--sink kafka://kafka:19092/whatsapp.messages 2>"$work/tail.log" | head -n 3 >"$work/tail" || true
[ "$(grep -c '"specversion":"1.0"' "$work/tail")" = 3 ] || { cat "$work/tail.log" >&2; fail "Kafka holds no events"; }
say "docker compose, Kafka: events are in whatsapp.messages"
docker rm -f api $(docker ps -q --filter ancestor=twochat-connector) >/dev/null
as_printed "${lines[4]/jetstream/kafka}"
as_printed "${lines[4]}"
echo "compose: all as it should be in $SECONDS s"
