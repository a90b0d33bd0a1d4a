"""Turns a file of the connector's events, as items or as rows, into Parquet: one row a message, a folder a day.

pip install pyarrow
python parquet.py events.jsonl messages
python -c 'import pandas; print(pandas.read_parquet("messages").dtypes)'
"""

import json
import sys
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

TIME = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("direction", pa.string(), nullable=False),
        pa.field("chat", pa.string(), nullable=False),
        ("sent_by", pa.string()),
        ("occurred_at", TIME),
        pa.field("recorded_at", TIME, nullable=False),
        pa.field("late", pa.bool_(), nullable=False),
        pa.field("repaired", pa.bool_(), nullable=False),
        ("kind", pa.string()),
        ("text", pa.string()),
        ("media_url", pa.string()),
        ("media_mime", pa.string()),
        ("channel", pa.string()),
        ("remote", pa.string()),
        ("participant", pa.string()),
        ("group_id", pa.string()),
        ("quoted_uuid", pa.string()),
        pa.field("item", pa.string(), nullable=False),
        pa.field("recorded_on", pa.string(), nullable=False),
    ]
)
COLUMNS = "kind text media_url media_mime channel remote participant quoted_uuid".split()


def moment(text):
    return datetime.fromisoformat(text) if text else None


def row(event):
    """One row, with null in the columns that only events.data: row fills."""
    data = event["data"]
    is_row = "recorded_at" in data and "item" in data
    return {
        "source": event["source"],
        "id": event["id"],
        "sequence": int(event["sequence"]),
        "direction": event["type"].rpartition(".")[2],
        "chat": event["subject"],
        "sent_by": event.get("sentby"),
        "occurred_at": moment(event.get("time")),
        "recorded_at": moment(event["recordedtime"]),
        "late": event.get("late", False),
        "repaired": event.get("repaired", False),
        **({name: data[name] for name in COLUMNS} if is_row else {}),
        "group_id": data["group"] if is_row else None,
        "item": data["item"] if is_row else json.dumps(data, ensure_ascii=False),
        "recorded_on": event["recordedtime"][:10],
    }


def main():
    source, folder = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        rows = [row(json.loads(line)) for line in file]
    once = {(row["source"], row["id"]): row for row in rows}
    pq.write_to_dataset(pa.Table.from_pylist(list(once.values()), SCHEMA), folder, partition_cols=["recorded_on"])
    print(f"{len(rows)} events, {len(once)} messages")


if __name__ == "__main__":
    main()
