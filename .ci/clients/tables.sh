#!/usr/bin/env bash
# tables.sh PROGRAMS FOLDER: loads the connector's events into databases and Parquet. PROGRAMS has connector and
# nats-server.
# What is not available is reported as "SKIPPED: why".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
programs=$1 folder=$2
mkdir -p "$folder"

source ./have.sh

have python python duckdb==2.0.1 chdb==4.4.0 pandas==3.1.1 pyarrow==26.0.1 sqlglot==30.30.0
[ -n "$python" ] || python=$(command -v python3) || exit 0 # PostgreSQL needs no Python packages
have consumer python nats-py==2.16.0
spark=
if command -v java >/dev/null; then
	have spark python pyspark==4.3.0
else
	echo "SKIPPED: Spark needs java, which is not here"
fi
PYTHONDONTWRITEBYTECODE=1 "$python" -u tables.py "$programs" "$folder/work" "$consumer" "$spark"
