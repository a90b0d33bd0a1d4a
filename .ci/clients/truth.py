"""What a client should have read: the events that follow from the fake's truth, made without the connector's code."""

import hashlib
import json
import re
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "deploy" / "consumers"))
import chat_token  # noqa: E402  the page's own snippet
from rig import NUMBER, SOURCE, Failure  # noqa: E402

# Escapes that stand for no character: half of a surrogate pair, and zero. Whole pairs and other escapes are not changed.
ESCAPES = re.compile(
    r"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\u0000)|(\\.)",
    re.S,
)
FILES = {"ptt": "audio", "vcard": "contact"}
HOLDS = {
    "order": "order",
    "pin": "location",
    "contacts": "contact",
    "poll": "poll",
    "list_reply": "list_reply",
    "button_reply": "button_reply",
}
KINDS = {
    "text",
    "image",
    "audio",
    "video",
    "document",
    "sticker",
    "location",
    "contact",
    "poll",
    "order",
    "list_reply",
    "button_reply",
    "unknown",
}


def repaired(text):
    return ESCAPES.sub(lambda found: "\\ufffd" if found[2] else found[0], text)


def row_of(item, text, event):
    """The row of an item."""
    message = item.get("message")
    message = message if isinstance(message, dict) else {"text": message}
    media = message.get("media") or {}
    holds = next((HOLDS[name] for name in message if name in HOLDS), None)
    title = next(
        (
            message[name].get("title") or message[name].get("question")
            for name in ("list_reply", "button_reply", "poll")
            if name in message
        ),
        None,
    )
    remote, session = item.get("remote_phone_number"), item.get("session_key") or ""
    participant = item.get("participant")
    words = message.get("text") or title
    return {
        "uuid": event["id"],
        "direction": event["type"].rpartition(".")[2],
        "sent_by": item.get("sent_by"),
        "kind": holds or FILES.get(media.get("type"), media.get("type")) or ("text" if words else "unknown"),
        "text": words or None,
        "media_url": media.get("url"),
        "media_mime": media.get("mime_type"),
        "channel": item.get("channel_phone_number"),
        "remote": remote,
        "participant": participant.get("phone_number") if isinstance(participant, dict) else participant,
        "group": remote if "@g.us" in (remote or session) else None,
        "quoted_uuid": (message.get("quoted_msg") or {}).get("uuid"),
        "occurred_at": event.get("time"),
        "item": text,
    }


def expected(truth, base_url, name, shape):
    """The events that a stream's log should have, oldest first by the list, without what the connector adds."""
    events = []
    key = chat_token.source_key(base_url, NUMBER)  # a history uses it too, because a chat has one token in both
    for message in truth:
        if message["poison"]:
            continue
        text = repaired(message["item"])
        item = json.loads(text)
        sent_by = item.get("sent_by")
        event = {
            "specversion": "1.0",
            "id": item.get("uuid") or item.get("id"),
            "source": SOURCE + name,
            "type": "co.2chat.whatsapp.message."
            + {"user": "received", "api": "sent", "agent": "sent"}.get(sent_by, "new"),
            "subject": chat_token.chat_token(key, message["chat"]),
            "datacontenttype": "application/json",
        }
        event["partitionkey"] = event["subject"]
        for attribute, value in (
            ("time", message["time"]),
            ("sentby", sent_by),
            ("late", message["late"]),
            ("repaired", text != message["item"]),
        ):
            if value:
                event[attribute] = value
        event["data"] = row_of(item, text, event) if shape == "row" else item
        events.append(event)
    return events


def check_forms(events, rows):
    """Checks that every form of a message was read, because otherwise nothing is proven for it."""
    items = [json.loads(row["data"]["item"]) for row in rows]
    missing = KINDS - {row["data"]["kind"] for row in rows}
    forms = {
        "null for a message": any("message" in item and item["message"] is None for item in items),
        "a text for a message": any(isinstance(item.get("message"), str) for item in items),
        "an empty message": any(item.get("message") == {} for item in items),
        "null for a remote number": any(item.get("remote_phone_number", "") is None for item in items),
        "a quoted message": any(row["data"]["quoted_uuid"] for row in rows),
        "a group": any(row["data"]["group"] for row in rows),
        "no sender": any(not row["data"]["sent_by"] for row in rows),
        "no time": any("time" not in event for event in events),
        "a repaired one": any("repaired" in event for event in events),
        "a late one": any("late" in event for event in events),
        "a number beyond 2^53": any("wa_serial" in item for item in items),
        "a line break in a text": any("\n" in (row["data"]["text"] or "") for row in rows),
        "a line break between tokens": any("\n" in row["data"]["item"] for row in rows),
    }
    missing |= {name for name, found in forms.items() if not found}
    if missing:
        raise Failure(
            f"the fake listed no {', no '.join(sorted(missing))}: choose another --seed or a longer --history"
        )


def compare(got, want, exact=True):
    """Compares what a client read with what there is to read, and fails with all differences."""
    problems = []
    by_id = {event["id"]: event for event in want}
    place = {event["id"]: n for n, event in enumerate(want)}
    ids = [event["id"] for event in got]
    problems += [f"missing: {id}" for id in by_id if id not in set(ids)]
    problems += [f"doubled: {id}" for id in sorted(set(ids)) if ids.count(id) > 1]
    problems += [f"never listed: {id}" for id in ids if id not in by_id]
    got = sorted(got, key=lambda event: event["sequence"])
    sequences = [int(event["sequence"]) for event in got]
    if sequences != list(range(1, len(want) + 1)):
        problems.append(f"the sequence is not 1 to {len(want)}")
    reached = {}
    for event in got:
        wanted = by_id.get(event["id"])
        if wanted is None:
            continue
        seen = {name: value for name, value in event.items() if name not in ("sequence", "recordedtime")}
        data = seen["data"]
        if isinstance(data, dict) and "recorded_at" in data:
            seen["data"] = {name: value for name, value in data.items() if name != "recorded_at"}
            if data["recorded_at"] != event["recordedtime"]:
                problems.append(f"{event['id']}: recorded_at is not recordedtime")
        if not same(seen, wanted, exact):
            problems.append(f"{event['id']}: {difference(seen, wanted, exact)}")
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", event["recordedtime"]):
            problems.append(f"{event['id']}: recordedtime {event['recordedtime']}")
        if "late" not in event:
            if reached.get(event["subject"], -1) > place[event["id"]]:
                problems.append(f"out of order in its chat: {event['id']}")
            reached[event["subject"]] = place[event["id"]]
    if problems:
        raise Failure(f"{len(problems)} problems, the first of them:\n  " + "\n  ".join(problems[:10]))


def same(got, want, exact):
    """Equality. Clients that have only floating-point numbers are not exact."""
    if isinstance(got, dict) and isinstance(want, dict):
        return got.keys() == want.keys() and all(same(got[name], want[name], exact) for name in got)
    if isinstance(got, list) and isinstance(want, list):
        return len(got) == len(want) and all(same(a, b, exact) for a, b in zip(got, want))
    if isinstance(got, bool) or isinstance(want, bool):
        return got is want
    if isinstance(got, (int, float)) and isinstance(want, (int, float)) and not exact:
        return float(got) == float(want)
    return type(got) is type(want) and got == want or isinstance(got, (int, float)) and got == want


def difference(got, want, exact):
    names = [name for name in sorted(set(got) | set(want)) if not same(got.get(name), want.get(name), exact)]
    return "; ".join(f"{name} is {got.get(name)!r}, not {want.get(name)!r}" for name in names)[:600]


def check_compare(got, want, exact=True):
    """Checks that compare itself finds a missing row, a duplicate and a changed value."""
    changed = [dict(event) for event in got]
    changed[len(changed) // 2]["subject"] = hashlib.sha256(b"another").hexdigest()[:26]
    for name, spoiled in (("gone", got[:-2] + got[-1:]), ("twice", got + got[:1]), ("changed", changed)):
        try:
            compare(spoiled, want, exact)
        except Failure:
            continue
        raise Failure(f"the test does not find an event that is {name}")
