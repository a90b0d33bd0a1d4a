"""The test environment of the clients: a fake 2Chat with every form of message, the built connector, a NATS server."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

NUMBER = "+15555550100"  # the fake's first
SOURCE = "//2chat.co/whatsapp/"


class Failure(Exception):
    """A failed check."""


class Rig:
    """Starts programs in a folder of its own, and ends all of them."""

    def __init__(self, programs, folder):
        self.programs, self.folder = Path(programs), Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.running = []
        self.fake = self.monitor = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            self.stop(process)

    def start(self, name, *arguments, **environment):
        """A program whose output goes to a file."""
        log = (self.folder / f"{name}.log").open("w+b")
        process = subprocess.Popen(
            [str(argument) for argument in arguments],
            stdout=log,
            stderr=log,
            cwd=self.folder,
            env={**os.environ, **environment},
        )
        process.log = Path(log.name)
        self.running.append(process)
        return process

    def stop(self, process, by=signal.SIGTERM):
        if process.poll() is None:
            process.send_signal(by)
        with contextlib.suppress(ValueError):
            self.running.remove(process)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failure(f"{process.args[0]} does not end:\n{process.log.read_text()[-2000:]}") from None

    def start_fake(self, history, seed):
        process = self.start(
            "fake",
            self.programs / "connector",
            "fake",
            "--listen",
            "127.0.0.1:0",
            "--rate",
            0,
            "--history",
            history,
            "--seed",
            seed,
        )
        first = wait_for("the fake", lambda: process.log.read_text().partition("\n")[0], process)
        self.fake = first.split()[4].rstrip(",")

    def steer(self, what, **query):
        """Asks the fake over HTTP to do something."""
        address = f"{self.fake}/fake/{what}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(urllib.request.Request(address, method="POST")) as answer:
            return json.load(answer)

    def truth(self):
        """Everything that the fake ever listed, oldest first."""
        with urllib.request.urlopen(f"{self.fake}/fake/truth") as answer:
            return [json.loads(line) for line in answer]

    def start_nats(self):
        port, monitor = free_port(), free_port()
        self.monitor = f"http://127.0.0.1:{monitor}"
        process = self.start(
            "nats-server",
            self.programs / "nats-server",
            "-a",
            "127.0.0.1",
            "-p",
            port,
            "-m",
            monitor,
            "-js",
            "-sd",
            self.folder / "nats",
        )
        wait_for("the NATS server", lambda: reachable(port), process)
        return f"nats://127.0.0.1:{port}"

    def configure(self, name, **more):
        """Writes a configuration of one stream, and returns its path."""
        path = self.folder / f"{name}.yaml"
        path.write_text(
            json.dumps(
                {
                    "twochat": {"base_url": self.fake, "streams": [{"number": NUMBER, "name": name}]},
                    "poll": {"min_interval": "1s", "max_interval": "1s"},
                    "admin": {"listen": f"127.0.0.1:{free_port()}"},
                    **more,
                }
            )
        )
        return path

    def run(self, config):
        """Starts the connector."""
        name = f"run-{config.stem}-{time.monotonic_ns()}"
        return self.start(name, self.programs / "connector", "run", "--config", config, TWOCHAT_API_KEY="any")

    def rest(self, process, config, sequence):
        """Waits until the connector has delivered that many events."""
        listen = json.loads(config.read_text())["admin"]["listen"]

        def delivered():
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{listen}/status") as answer:
                stream = json.load(answer)["streams"][0]
                return stream["state"] == "live" and stream.get("sequence", 0) >= sequence

        wait_for(f"{sequence} events of {config.stem}", delivered, process)


def wait_for(what, done, process=None, seconds=60, pause=0.05):
    """Waits until something is true, checking again after a pause in seconds. The error names what never became true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := done():
            return found
        if process is not None and process.poll() is not None:
            raise Failure(f"no {what}, as its program ended:\n{process.log.read_text()[-2000:]}")
        time.sleep(pause)
    said = f":\n{process.log.read_text()[-2000:]}" if process is not None else ""
    raise Failure(f"no {what} in {seconds} s{said}")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def reachable(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True


def call(*arguments, cwd=None, seconds=120, **environment):
    """Runs a program to its end, and returns its output. An exit code other than 0 is a failure."""
    done = subprocess.run(
        [str(argument) for argument in arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        timeout=seconds,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise Failure(
            f"{' '.join(map(str, arguments))} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.stdout


def events_of(path):
    """The events of a file of JSON lines."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]
