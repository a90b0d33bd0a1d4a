#!/usr/bin/env bash
# A real single-node Apache Kafka (KRaft) for tests, without Docker: Java 17 and Maven are enough.
#
#   kafka.sh fetch VERSION                fetches the jars from Maven Central (once) and prints their folder
#   kafka.sh start JARS FOLDER PORT       starts a broker on 127.0.0.1:PORT (PORT+1 is its controller); FOLDER keeps its data and
#                                         log; a second start with the same folder continues with its data
#   kafka.sh stop FOLDER                  stops it orderly; kafka.sh kill FOLDER: kill -9
#   kafka.sh pause FOLDER | resume FOLDER SIGSTOP, SIGCONT
#   kafka.sh version JARS                 prints the version of the jars
#
# JARS is a version ("4.1.0") or a folder with the jars. FOLDER/extra.properties may contain extra lines of server.properties.
# The cache is $KAFKA_CACHE, else ~/.cache/twochat-kafka.
set -euo pipefail

cache=${KAFKA_CACHE:-$HOME/.cache/twochat-kafka}

fail() { echo "kafka.sh: $*" >&2; exit 1; }

fetch() {
	local version=$1 jars=$cache/$1 pom
	if [ ! -f "$jars/.complete" ]; then
		command -v mvn >/dev/null || fail "mvn is needed to fetch Kafka $version"
		mkdir -p "$cache"
		pom=$(mktemp -d)
		cat >"$pom/pom.xml" <<-XML
			<project xmlns="http://maven.apache.org/POM/4.0.0">
			<modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>test</artifactId><version>1</version>
			<dependencies>
			<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
			<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$version</version></dependency>
			</dependencies>
			</project>
		XML
		mvn -q -B -f "$pom/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$jars" >&2
		rm -rf "$pom"
		touch "$jars/.complete"
	fi
	echo "$jars"
}

jars_of() {
	if [ -d "$1" ]; then echo "$1"; else fetch "$1"; fi
}

version_of() {
	local core
	core=$(ls "$1"/kafka_2.13-*.jar 2>/dev/null | head -1)
	[ -n "$core" ] || fail "no kafka_2.13 jar in $1"
	core=${core##*/kafka_2.13-}
	echo "${core%.jar}"
}

logging() {
	cat >"$1/log4j2.properties" <<-LOG
		appender.file.type=File
		appender.file.name=file
		appender.file.fileName=$1/broker.log
		appender.file.layout.type=PatternLayout
		appender.file.layout.pattern=%d %p %c{1} %m%n
		rootLogger.level=warn
		rootLogger.appenderRef.file.ref=file
	LOG
	cat >"$1/log4j.properties" <<-LOG
		log4j.rootLogger=WARN, file
		log4j.appender.file=org.apache.log4j.FileAppender
		log4j.appender.file.File=$1/broker.log
		log4j.appender.file.layout=org.apache.log4j.PatternLayout
		log4j.appender.file.layout.ConversionPattern=%d %p %c{1} %m%n
	LOG
}

start() {
	local jars folder=$2 port=$3 cluster
	jars=$(jars_of "$1")
	mkdir -p "$folder"
	if [ ! -f "$folder/server.properties" ]; then
		logging "$folder"
		cat >"$folder/server.properties" <<-CONF
			process.roles=broker,controller
			node.id=1
			controller.quorum.voters=1@127.0.0.1:$((port + 1))
			controller.listener.names=CONTROLLER
			inter.broker.listener.name=PLAINTEXT
			listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
			advertised.listeners=PLAINTEXT://127.0.0.1:$port
			listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
			log.dirs=$folder/data
			auto.create.topics.enable=false
			offsets.topic.replication.factor=1
			transaction.state.log.replication.factor=1
			transaction.state.log.min.isr=1
			group.initial.rebalance.delay.ms=0
			broker.session.timeout.ms=3000
			broker.heartbeat.interval.ms=500
		CONF
		[ ! -f "$folder/extra.properties" ] || cat "$folder/extra.properties" >>"$folder/server.properties"
		# The nodes of one cluster have the same voters, so all compute the same id.
		cluster=$(grep '^controller.quorum.voters=' "$folder/server.properties" | tail -1 | md5sum | head -c21)A
		java -cp "$jars/*" -Dlog4j2.configurationFile="$folder/log4j2.properties" -Dlog4j.configuration="file:$folder/log4j.properties" \
			kafka.tools.StorageTool format --cluster-id="$cluster" \
			-c "$folder/server.properties" >"$folder/format.log" 2>&1 || fail "format: $(tail -3 "$folder/format.log")"
	fi
	setsid java -Xmx512m -XX:+UseSerialGC -cp "$jars/*" \
		-Dlog4j2.configurationFile="$folder/log4j2.properties" -Dlog4j.configuration="file:$folder/log4j.properties" \
		kafka.Kafka "$folder/server.properties" >>"$folder/out.log" 2>&1 </dev/null &
	echo $! >"$folder/pid"
	for _ in $(seq 1500); do # while it runs: a busy machine may take long, above all after a kill
		kill -0 "$(cat "$folder/pid")" 2>/dev/null || fail "the broker ended: $(tail -3 "$folder/out.log" "$folder/broker.log" 2>/dev/null)"
		if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return; fi
		sleep 0.2
	done
	fail "no broker on port $port after five minutes; see $folder/out.log"
}

# finish SIGNAL FOLDER: sends the signal to the folder's broker and waits for its end.
finish() {
	local pid
	[ -f "$2/pid" ] || return 0
	pid=$(cat "$2/pid")
	kill "-$1" "$pid" 2>/dev/null || true
	for _ in $(seq 300); do
		kill -0 "$pid" 2>/dev/null || { rm -f "$2/pid"; return; }
		sleep 0.1
	done
	fail "process $pid does not end"
}

case ${1:-} in
fetch) fetch "${2:?version}" ;;
start) start "${2:?version or folder of the jars}" "$(mkdir -p "${3:?folder}" && cd "$3" && pwd)" "${4:?port}" ;;
stop) finish TERM "${2:?folder}" ;;
kill) finish KILL "${2:?folder}" ;;
pause) kill -STOP "$(cat "${2:?folder}/pid")" ;;
resume) kill -CONT "$(cat "${2:?folder}/pid")" ;;
version) version_of "$(jars_of "${2:?version or folder of the jars}")" ;;
*) sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
