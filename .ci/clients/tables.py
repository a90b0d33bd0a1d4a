"""Loads the connector's events into databases and table formats, from its file and as consumed from JetStream.

tables.py PROGRAMS FOLDER NATS_PYTHON SPARK_PYTHON      an empty argument means that it is not available
"""

import json
import re
import sys
import time
from pathlib import Path

import engines
from rig import NUMBER, Failure, Rig, call, events_of
from table_rows import PLAIN, compare_rows, fails, table_row
from truth import chat_token, check_compare, check_forms, compare, expected

CONSUMERS = Path(__file__).parents[2] / "deploy" / "consumers"
HISTORY, BURST, SEED = 300, 600, 7
# For a short run, compiling in one pass takes half the time.
SPARK = (
    "--master local[2] --driver-java-options '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' "
    "--conf spark.ui.enabled=false --conf spark.sql.shuffle.partitions=2 pyspark-shell"
)
SECRET = b"a key that is 32 bytes, as it is"


def write(rig, nats_python):
    """Lets connectors write files, histories, and into JetStream. Returns folders with an events.jsonl."""
    live = {}
    for shape in ("item", "row"):
        path = rig.folder / f"{shape}.jsonl"
        live[f"file-{shape}"] = rig.configure(
            f"file-{shape}", start="now", events={"data": shape}, sink={"file": {"path": str(path)}}
        )
    if nats_python:
        server = rig.start_nats()
        for shape, mode in (("item", "structured"), ("row", "binary")):
            live[f"nats-{shape}"] = rig.configure(
                f"nats-{shape}",
                start="now",
                events={"data": shape, "mode": mode},
                sink={
                    "jetstream": {
                        "url": server,
                        "stream": f"NATS-{shape.upper()}",
                        "subject": f"nats-{shape}",
                        "create": True,
                    }
                },
            )

    def deliver(count):
        running = {name: rig.run(config) for name, config in live.items()}
        for name, process in running.items():
            rig.rest(process, live[name], count)
        for process in running.values():
            rig.stop(process)

    (rig.folder / "secret").write_bytes(SECRET)
    (rig.folder / "secret").chmod(0o400)
    live["pseudonyms"] = rig.configure(
        "pseudonyms",
        start="now",
        events={"data": "row"},
        sink={"file": {"path": str(rig.folder / "pseudonyms.jsonl")}},
        privacy={"identifiers": "pseudonymous", "key_file": str(rig.folder / "secret")},
    )

    deliver(0)
    rig.steer("append", count=BURST)
    deliver(BURST)
    rig.steer("late", depth=5)
    rig.steer("poison", kind="bad id")
    rig.steer("append", count=20)
    deliver(BURST + 21)
    for shape in ("item", "row"):
        call(
            rig.programs / "connector",
            "backfill",
            "--all",
            "--config",
            live[f"file-{shape}"],
            cwd=rig.folder,
            TWOCHAT_API_KEY="any",
        )
    if nats_python:
        for shape in ("item", "row"):
            call(
                nats_python,
                CONSUMERS / "nats" / "consume.py",
                "--server",
                server,
                "--stream",
                f"NATS-{shape.upper()}",
                "--subject",
                f"nats-{shape}.>",
                "--until-idle",
                rig.folder / f"nats-{shape}.jsonl",
            )
    live.pop("pseudonyms")
    return list(live)


def gather(rig, name):
    """The events of an input in a folder of its own, and the expected ones; already compared with the truth."""
    shape = name.rpartition("-")[2]
    truth = rig.truth()
    parts = [(rig.folder / (f"{shape}.jsonl" if name.startswith("file") else f"{name}.jsonl"), name, truth[HISTORY:])]
    if name.startswith("file"):
        parts.append((rig.folder / f"{shape}.{name}-history.jsonl", f"{name}-history", truth[:HISTORY]))
    folder = rig.folder / name
    folder.mkdir()
    read, wanted = [], []
    with open(folder / "events.jsonl", "wb") as file:
        for path, stream, listed in parts:
            got, want = events_of(path), expected(listed, rig.fake, stream, shape)
            compare(got, want)
            check_compare(got, want)
            file.write(path.read_bytes())
            read, wanted = read + got, wanted + want
    recorded = {(event["source"], event["id"]): event for event in read}
    return folder, [table_row(event, recorded[event["source"], event["id"]], shape) for event in wanted]


def took(began):
    return f"{time.monotonic() - began:.0f} s"


def try_engine(engine, want, shape, truth, base_url):
    """Loads a folder's events twice, and runs all queries of the page."""
    engine.run("table")
    for _ in range(2):
        engine.run(f"load_{shape}")
    moments = ", ".join(f"{engine.moments.format(name)} AS {name}" for name in ("occurred_at", "recorded_at"))
    everything = f"SELECT {', '.join(PLAIN)}, {moments} FROM messages"
    compare_rows(engine.rows(everything), want)

    source = want[0]["source"]
    try_merged(engine, source, want)
    late = next(row for row in want if row["late"] and row["occurred_at"])
    if late["occurred_at"][:10] not in {str(row["day"])[:10] for row in engine.rows(text(engine, "late"))}:
        raise Failure("the day of a late message is not among those to reckon anew")
    try_tokens(engine, want, truth, base_url)

    missing = {row["source"]: int(row["missing"]) for row in engine.rows(text(engine, "completeness"))}
    if missing != {row["source"]: 0 for row in want}:
        raise Failure(f"completeness of a whole table: {missing}")
    engine.execute(f"{engine.remove} source = '{source}' AND sequence = 7")
    missing = {row["source"]: int(row["missing"]) for row in engine.rows(text(engine, "completeness"))}
    if missing != {row["source"]: int(row["source"] == source) for row in want}:
        raise Failure(f"completeness of a table without one row: {missing}")
    if not fails(compare_rows, engine.rows(everything), want):
        raise Failure("the test does not find a row that is gone")


def try_merged(engine, source, want):
    """The view merges a live stream and its history, and shows a message that is in both once."""
    rest = ", ".join(PLAIN[3:] + ["occurred_at", "recorded_at"])
    engine.execute(
        f"INSERT INTO messages (source, id, sequence, {rest}) SELECT '{source}-history', id, 1000000, {rest} "
        f"FROM messages WHERE source = '{source}' AND sequence = 9"
    )
    engine.run("merged")
    merged = engine.rows("SELECT stream, id, source FROM merged")
    if sorted(row["id"] for row in merged) != sorted(row["id"] for row in want):
        raise Failure(f"merged has {len(merged)} messages, not each of {len(want)} once")
    if {row["stream"] for row in merged} != {source}:
        raise Failure("merged shows more than one stream")
    engine.execute(f"{engine.remove} sequence = 1000000")


def text(engine, name):
    return engines.script(engine.name, name).strip().rstrip(";")


def try_tokens(engine, want, truth, base_url):
    """The tokens of chats, computed in SQL, join a CRM with the events."""
    engine.run("chat_token")
    people = {
        message["chat"]: "+" + found[1]
        for message in truth
        if (found := re.fullmatch(r"(?:WW-WPN[0-9a-f-]{36}-|\+)(\d+)(?:@c\.us)?", message["chat"]))
    }
    prefix = next(found[1] for chat in people if (found := re.match(r"(WW-WPN[0-9a-f-]{36}-)", chat)))
    engine.execute("CREATE TABLE crm (phone VARCHAR(32), name VARCHAR(32))" + engine_of(engine))
    engine.execute(
        "CREATE TABLE lists (source VARCHAR(64), base_url VARCHAR(64), number VARCHAR(32), session_prefix VARCHAR(64))"
        + engine_of(engine)
    )
    contacts = (f"('{phone}', 'somebody')" for phone in sorted(set(people.values())))
    engine.execute("INSERT INTO crm VALUES " + ", ".join(contacts))
    sources = (
        f"('{source}', '{base_url}', '{NUMBER}', '{prefix}')" for source in sorted({row["source"] for row in want})
    )
    engine.execute("INSERT INTO lists VALUES " + ", ".join(sources))
    engine.run("crm")
    joined = engine.rows(
        "SELECT m.id AS id, c.phone AS phone FROM messages AS m JOIN crm_chats AS c "
        "ON m.source = c.source AND m.chat = c.chat"
    )
    ids = {row["id"] for row in want}
    right = {
        message["uuid"]: people[message["chat"]]
        for message in truth
        if message["chat"] in people and message["uuid"] in ids
    }
    if sorted((row["id"], row["phone"]) for row in joined) != sorted(right.items()) or len(right) < 100:
        raise Failure(f"{len(joined)} messages were joined with the CRM, not {len(right)}")


def try_pseudonyms(rig, truth):
    """Tokens made with a key, of chats and of the numbers in rows, and the page's program for tokens without a key."""
    listed = {message["uuid"]: message for message in truth}
    events = events_of(rig.folder / "pseudonyms.jsonl")
    people = 0
    for event in events:
        message = listed[event["id"]]
        if event["subject"] != chat_token.pseudonym(SECRET, message["chat"] or "none"):
            raise Failure(f"the pseudonym of a chat is {event['subject']}, for {message['chat']}")
        remote = json.loads(message["item"]).get("remote_phone_number")
        if (remote or "").startswith("+"):
            people += 1
            if event["data"]["remote"] != chat_token.pseudonym(SECRET, remote):
                raise Failure(f"the pseudonym of a number is {event['data']['remote']}, for {remote}")
    if people < 100:
        raise Failure(f"only {people} pseudonyms of people")
    said = call(sys.executable, CONSUMERS / "chat_token.py", NUMBER, truth[0]["chat"]).strip()
    if said != chat_token.chat_token(chat_token.source_key("https://api.p.2chat.io", NUMBER), truth[0]["chat"]):
        raise Failure(f"chat_token.py prints {said}")


def engine_of(engine):
    return " ENGINE = MergeTree ORDER BY tuple()" if engine.name == "clickhouse" else ""


def try_parquet(program, python, source, want, folder):
    """A script writes Parquet, and pandas reads it: typed, complete, each event once."""
    import pandas

    with open(source, "ab+") as file:  # writes everything twice
        file.seek(0)
        file.write(file.read())
    call(python, CONSUMERS / program, source, folder, seconds=300, PYSPARK_SUBMIT_ARGS=SPARK)
    table = pandas.read_parquet(folder)
    types = {name: str(table[name].dtype) for name in ("sequence", "late", "occurred_at", "recorded_at")}
    if (
        types["sequence"] != "int64"
        or types["late"] != "bool"
        or not all(types[name].startswith("datetime64") for name in ("occurred_at", "recorded_at"))
    ):
        raise Failure(f"{program} wrote the types {types}")
    rows = json.loads(table.to_json(orient="records", date_format="iso", date_unit="us"))
    only = [
        name for name in PLAIN if name not in ("text", "media_url", "media_mime", "channel", "remote", "quoted_uuid")
    ]
    items = [row for row in want if row["source"].endswith("item") or row["source"].endswith("item-history")]
    events = {(row["source"], row["id"]) for row in items}
    compare_rows([row for row in rows if (row["source"], row["id"]) in events], items, only)
    others = [row for row in want if (row["source"], row["id"]) not in events]
    compare_rows([row for row in rows if (row["source"], row["id"]) not in events], others)
    if not fails(compare_rows, rows[1:], want):
        raise Failure("the test does not find a row that is gone")


def parse_bigquery():
    """BigQuery itself is not available here, so its files are only parsed."""
    import sqlglot

    for file in sorted((engines.SQL / "bigquery").glob("*.sql")):
        parsed = sqlglot.parse(file.read_text(), dialect="bigquery")
        if any(type(statement).__name__ == "Command" for statement in parsed):
            raise Failure(f"{file.name} is not understood")
    return sqlglot.__version__


def try_engines(rig, inputs, truth):
    for kind in engines.ENGINES:
        if not kind.here:
            print(f"{kind.__name__} is not here")
            continue
        began = time.monotonic()
        engine = kind(rig.folder)
        try:
            for name, (source, want) in inputs.items():
                engine.begin(source)
                try_engine(engine, want, name.rpartition("-")[2], truth, rig.fake)
        except Exception as problem:
            raise Failure(f"{engine.version}, {name}: {problem}") from problem
        finally:
            engine.close()
        print(f"{engine.version}: {', '.join(inputs)}: each message once, typed, as listed ({took(began)})")


def try_formats(rig, inputs, spark_python):
    """All events, items and rows, in one file."""
    everything = b"".join((source / "events.jsonl").read_bytes() for source, _ in inputs.values())
    want = [row for _, wanted in inputs.values() for row in wanted]
    for program, python in (("parquet.py", sys.executable), ("read_spark.py", spark_python)):
        if not python or not engines.found("pandas"):
            print(f"{program} is not run")
            continue
        began = time.monotonic()
        source = rig.folder / f"{program}.jsonl"
        source.write_bytes(everything)
        try_parquet(program, python, source, want, rig.folder / f"{program}.out")
        print(f"{program}: {len(want)} messages as Parquet, read by pandas: each once, typed ({took(began)})")


def main():
    programs, folder, nats_python, spark_python = sys.argv[1:]
    with Rig(programs, folder) as rig:
        rig.start_fake(HISTORY, SEED)
        began = time.monotonic()
        inputs = {name: gather(rig, name) for name in write(rig, nats_python)}
        truth = rig.truth()
        rows = expected(truth[HISTORY:], rig.fake, "file-row", "row")
        check_forms(rows, rows)
        print(f"{', '.join(f'{name}: {len(want)}' for name, (_, want) in inputs.items())} events ({took(began)})")
        try_pseudonyms(rig, truth)
        try_engines(rig, inputs, truth)
        try_formats(rig, inputs, spark_python)
        parsed = (
            f"sqlglot {parse_bigquery()} parses its files" if engines.found("sqlglot") else "nothing parses its files"
        )
        print(f"SKIPPED: BigQuery cannot be had here: {parsed}, and nothing runs them")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")
