#!/usr/bin/env bash
# Runs the Kafka clients that data teams use on a real Apache Kafka: each command of deploy/consumers/kafka/README.md, as
# printed.
#
#   kafka.sh CONNECTOR JARS FOLDER   the built program, the folder of Kafka's jars, and a folder to work in
#
# A runtime or a package that is not available is reported in a line that begins with SKIPPED.
set -euo pipefail

connector=$1 jars=$2 folder=$3
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
kafka=$root/.ci/kafka/kafka.sh

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cp -r "$root/deploy/consumers/kafka" "$folder/kafka"
go build -o "$folder/clients" "$root/.ci/clients/kafka"

# free PORT: succeeds if nobody listens there.
free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
port=$((20000 + RANDOM % 10000))
until free "$port" && free $((port + 1)); do port=$((20000 + RANDOM % 10000)); done
trap '"$kafka" stop "$folder/broker"' EXIT
"$kafka" start "$jars" "$folder/broker" "$port"
"$folder/clients" "$connector" "127.0.0.1:$port" "$folder"
