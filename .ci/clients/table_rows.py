"""The rows that tables should have for the connector's events, and the comparison of a table with them."""

import json
from datetime import datetime

from rig import Failure
from truth import same

PLAIN = [
    "source",
    "id",
    "sequence",
    "direction",
    "chat",
    "sent_by",
    "late",
    "repaired",
    "kind",
    "text",
    "media_url",
    "media_mime",
    "channel",
    "remote",
    "participant",
    "group_id",
    "quoted_uuid",
    "item",
]


def table_row(event, got, shape):
    """The row that a table should have for an event."""
    data = event["data"]
    message = data.get("message") if shape == "item" else None
    fields = message if isinstance(message, dict) else {"text": message}
    media = fields.get("media") or {}
    row = (
        {
            "text": fields.get("text"),
            "media_url": media.get("url"),
            "media_mime": media.get("mime_type"),
            "channel": data.get("channel_phone_number"),
            "remote": data.get("remote_phone_number"),
            "quoted_uuid": (fields.get("quoted_msg") or {}).get("uuid"),
            "item": data,
        }
        if shape == "item"
        else {**data, "group_id": data["group"], "item": json.loads(data["item"])}
    )
    return {
        **{name: row.get(name) for name in PLAIN},
        "source": event["source"],
        "id": event["id"],
        "sequence": int(got["sequence"]),
        "direction": event["type"].rpartition(".")[2],
        "chat": event["subject"],
        "sent_by": event.get("sentby"),
        "late": event.get("late", False),
        "repaired": event.get("repaired", False),
        "occurred_at": event.get("time"),
        "recorded_at": got["recordedtime"],
    }


def microseconds(text):
    """A time as tables store it. Some engines cut finer digits, others round them."""
    if text is None:
        return None
    whole, _, fraction = text.rstrip("Z").partition(".")
    return (
        int(datetime.fromisoformat(whole + "+00:00").timestamp()) * 1_000_000
        + int(fraction.ljust(9, "0")[:9] or 0) / 1000
    )


def compare_rows(got, want, only=None):
    """Compares a table with what should be in it."""
    names = only or PLAIN
    wanted = {(row["source"], row["id"]): row for row in want}
    found = {}
    problems = []
    for row in got:
        key = row["source"], row["id"]
        if key in found:
            problems.append(f"doubled: {key}")
        found[key] = row
        if key not in wanted:
            problems.append(f"never listed: {key}")
    for key, right in wanted.items():
        row = found.get(key)
        if row is None:
            problems.append(f"missing: {key}")
            continue
        row = {**row, "item": json.loads(row["item"]) if isinstance(row["item"], str) else row["item"]}
        for name in names:
            if not same(row[name], right[name], exact=name != "item"):
                problems.append(f"{key}: {name} is {row[name]!r}, not {right[name]!r}")
        for name in ("occurred_at", "recorded_at"):
            a, b = microseconds(row[name]), microseconds(right[name])
            if (a is None) != (b is None) or a is not None and abs(a - b) > 1:
                problems.append(f"{key}: {name} is {row[name]}, not {right[name]}")
    if problems:
        raise Failure(f"{len(problems)} problems, the first of them:\n  " + "\n  ".join(problems[:10]))


def fails(check, *arguments):
    try:
        check(*arguments)
    except Failure:
        return True
    return False
