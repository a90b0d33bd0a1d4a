"""Reads the connector's events from JetStream with nats-py, and appends each of them once to a file of JSON lines.

    pip install nats-py
    python consume.py --server nats://127.0.0.1:4222 events.jsonl

The durable consumer stands in the server: the next start goes on where this one stopped. A message is acknowledged
after it is on disk, so a crash in between brings it again; the file's own keys, (source, id), tell that it is there.
"""

import argparse
import asyncio
import json
import os
from urllib.parse import unquote

import nats
from nats.errors import TimeoutError as NothingLeft
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy


def decode(body, headers):
    """The event of a message in either of the connector's modes."""
    headers = {name.lower(): value for name, value in (headers or {}).items()}
    if headers["content-type"].startswith("application/cloudevents+json"):
        return json.loads(body)  # structured: the body is the event
    event = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
    for flag in ("late", "repaired"):
        if flag in event:
            event[flag] = event[flag] == "true"
    return {**event, "datacontenttype": headers["content-type"], "data": json.loads(body)}


def known_keys(file):
    """The keys of the events in the file, which is cut where a crash left half a line."""
    keys, end = set(), 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        event = json.loads(line)
        keys.add((event["source"], event["id"]))
        end += len(line)
    file.truncate(end)
    file.seek(end)
    return keys


async def consume(options):
    client = await nats.connect(options.server)
    subscription = await client.jetstream().pull_subscribe(
        options.subject,
        durable=options.durable,
        stream=options.stream,
        config=ConsumerConfig(
            ack_policy=AckPolicy.EXPLICIT, deliver_policy=DeliverPolicy.ALL, ack_wait=options.ack_wait
        ),
    )
    appended = again = 0
    with open(options.file, "ab+") as file:
        file.seek(0)
        keys = known_keys(file)
        while True:
            try:
                messages = await subscription.fetch(100, timeout=2)
            except NothingLeft:
                if options.until_idle:
                    break
                continue
            for message in messages:
                event = decode(message.data, message.headers)
                key = (event["source"], event["id"])
                if key in keys:
                    again += 1
                    continue
                keys.add(key)
                file.write(json.dumps(event, ensure_ascii=False).encode() + b"\n")
                appended += 1
            file.flush()
            os.fsync(file.fileno())
            for message in messages:
                await message.ack()
    await client.flush()  # not drain: it waits 30 s for what a pull left in the subscription
    await client.close()
    print(f"{appended} appended, {again} were there already")


def main():
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--server", default="nats://127.0.0.1:4222")
    flags.add_argument("--stream", default="WHATSAPP")
    flags.add_argument("--subject", default="whatsapp.>", help="events alone: checkpoints and quarantine lie outside")
    flags.add_argument("--durable", default="analytics")
    flags.add_argument("--ack-wait", type=float, default=30, help="seconds after which a message comes again")
    flags.add_argument(
        "--until-idle", action="store_true", help="end where nothing is left, rather than to wait for more"
    )
    flags.add_argument("file")
    asyncio.run(consume(flags.parse_args()))


if __name__ == "__main__":
    main()
