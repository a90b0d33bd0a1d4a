"""nats-py, nats.js and natscli read each mode and each shape from a real JetStream.

jetstream.py PROGRAMS FOLDER PYTHON NODE_FOLDER NATSCLI      an empty argument is a client that is not to be had
"""

import json
import os
import re
import signal
import sys
import urllib.request
from pathlib import Path

from rig import Failure, Rig, call, events_of, wait_for
from truth import check_compare, check_forms, compare, expected

CONSUMERS = Path(__file__).parents[2] / "deploy" / "consumers" / "nats"
HISTORY, SEED = 600, 7
SCHEMA = "https://schemas.example/message%201.json"  # in a header the percent sign is encoded
COMBINATIONS = [(mode, shape) for mode in ("structured", "binary") for shape in ("item", "row")]


class Clients:
    def __init__(self, rig, python, node, natscli):
        self.rig, self.python, self.node, self.natscli = rig, python, node, natscli
        self.server = rig.start_nats()

    def pull_python(self, name, durable, file, *more):
        return [
            self.python,
            CONSUMERS / "consume.py",
            "--server",
            self.server,
            "--stream",
            name.upper(),
            "--subject",
            f"{name}.>",
            "--durable",
            durable,
            *more,
            file,
        ]

    def pull_node(self, name, durable, file):
        return call(
            "node",
            Path(self.node) / "consume.mjs",
            file,
            NATS_URL=self.server,
            STREAM=name.upper(),
            SUBJECT=f"{name}.>",
            DURABLE=durable,
            UNTIL_IDLE="1",
        )

    def pull_shell(self, name, durable, count):
        return call(
            "bash",
            CONSUMERS / "consume.sh",
            name.upper(),
            f"{name}.>",
            durable,
            count,
            NATS_URL=self.server,
            PATH=f"{Path(self.natscli).parent}:{os.environ['PATH']}",
            XDG_CONFIG_HOME=str(self.rig.folder),
        )


def fill(rig, clients):
    """Lets connectors of each mode and shape write one whole list, and returns what they should have written."""
    configs = {}
    for mode, shape in COMBINATIONS:
        name = f"{mode}-{shape}"
        configs[name] = rig.configure(
            name,
            start="beginning",
            events={"mode": mode, "data": shape, "dataschema": SCHEMA},
            sink={"jetstream": {"url": clients.server, "stream": name.upper(), "subject": name, "create": True}},
        )

    def deliver(count):
        running = {name: rig.run(config) for name, config in configs.items()}
        for name, process in running.items():
            rig.rest(process, configs[name], count)
        for process in running.values():
            rig.stop(process)

    deliver(HISTORY)
    # What comes in while the connector is stopped: one below delivered messages, one that cannot become an event.
    rig.steer("late", depth=5)
    rig.steer("poison", kind="no id")
    rig.steer("append", count=40)
    deliver(HISTORY + 41)
    truth = rig.truth()
    want = {f"{mode}-{shape}": expected(truth, rig.fake, f"{mode}-{shape}", shape) for mode, shape in COMBINATIONS}
    for events in want.values():
        for event in events:
            event["dataschema"] = SCHEMA
    check_forms(want["structured-row"], want["structured-row"])
    return want


def check_crash(clients, name, want, file):
    """A consumer that is killed with unacknowledged messages gets them again, and its file has each event once."""
    for attempt in range(20):  # a kill may come after everything is acknowledged, or before anything is written
        file.unlink(missing_ok=True)
        arguments = clients.pull_python(name, f"killed-{attempt}", file, "--ack-wait", "1")
        process = clients.rig.start("killed", *arguments)
        wait_for("event", lambda: file.exists() and file.stat().st_size > 0, process, pause=0)
        clients.rig.stop(process, by=signal.SIGKILL)
        said = call(*arguments, "--until-idle")
        compare(events_of(file), want)
        if re.search(r" [1-9]\d* were there already", said):
            break
    else:
        raise Failure(f"nothing came again after any kill -9, so nothing is shown: {said}")
    # The whole stream again, from another consumer into the same file.
    said = call(*clients.pull_python(name, "again", file, "--until-idle"))
    compare(events_of(file), want)
    if f"0 appended, {len(want)} were there already" not in said:
        raise Failure(f"a second reading is not all that is there already: {said}")


def check_acknowledged(rig, name, durables, count):
    """Checks that the server counts each message as acknowledged: none is pending, none would be redelivered."""
    with urllib.request.urlopen(f"{rig.monitor}/jsz?consumers=true") as answer:
        streams = json.load(answer)["account_details"][0]["stream_detail"]
    consumers = {c["name"]: c for s in streams if s["name"] == name.upper() for c in s.get("consumer_detail", ())}
    for durable in durables:
        consumer = consumers[durable]
        open_ones = {key: consumer[key] for key in ("num_pending", "num_ack_pending", "num_redelivered")}
        if any(open_ones.values()) or consumer["ack_floor"]["consumer_seq"] != count:
            raise Failure(f"{durable} of {name} did not acknowledge {count}: {open_ones}, {consumer['ack_floor']}")


def documents(text):
    """The JSON documents of a text: an item may have line breaks between its tokens."""
    found, decoder = [], json.JSONDecoder()
    text = text.lstrip()
    while text:
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:].lstrip()
    return found


def check_bodies(bodies, want, name):
    """What a client prints that shows only bodies: whole events, or in binary mode their data."""
    if name.startswith("structured"):
        compare(bodies, want)
        return check_compare(bodies, want)
    plain = [{column: value for column, value in body.items() if column != "recorded_at"} for body in bodies]
    if sorted(map(repr, plain)) != sorted(repr(event["data"]) for event in want):
        raise Failure(f"natscli did not show the data of {name} as listed")


def main():
    programs, folder, python, node, natscli = sys.argv[1:]
    with Rig(programs, folder) as rig:
        clients = Clients(rig, python, node, natscli)
        rig.start_fake(HISTORY, SEED)
        want = fill(rig, clients)
        print(f"{len(want['binary-row'])} events of every form in each of {', '.join(want)}")
        for name, events in want.items():
            read = {}
            if python:
                file = rig.folder / f"{name}.py.jsonl"
                call(*clients.pull_python(name, "analytics", file, "--until-idle"))
                read["nats-py"] = events_of(file), True
            if node:
                file = rig.folder / f"{name}.js.jsonl"
                clients.pull_node(name, "dashboard", file)
                read["nats.js"] = events_of(file), False
            for client, (got, exact) in read.items():
                compare(got, events, exact)
                check_compare(got, events, exact)
                print(f"{name}: {client} read {len(got)} events, each once, all as listed")
            if natscli:
                bodies = documents(clients.pull_shell(name, "shell", len(events)))
                check_bodies(bodies, events, name)
                print(f"{name}: natscli read {len(bodies)} bodies, each once, all as listed")
            durables = [
                durable
                for durable, there in (("analytics", python), ("dashboard", node), ("shell", natscli))
                if there
            ]
            check_acknowledged(rig, name, durables, len(events))
        if python:
            check_crash(clients, "structured-item", want["structured-item"], rig.folder / "killed.jsonl")
            print("structured-item: nats-py was killed, and read on: its file has each event once")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")
