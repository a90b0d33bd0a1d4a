"""The databases into which the connector's events are loaded, each with the page's own files."""

import contextlib
import importlib.util
import json
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from rig import Failure, call

SQL = Path(__file__).parents[2] / "deploy" / "consumers" / "sql"


def script(engine, name):
    """A file of the page: the engine's own, or the common one."""
    own = SQL / engine / f"{name}.sql"
    return (own if own.exists() else SQL / f"{name}.sql").read_text()


def statements(text):
    """The statements of a script. None of them contains a semicolon."""
    plain = "\n".join(line.split("--")[0] for line in text.splitlines())
    return [statement for statement in map(str.strip, plain.split(";")) if statement]


def found(module):
    return importlib.util.find_spec(module) is not None


class DuckDB:
    name, here = "duckdb", found("duckdb")
    remove = "DELETE FROM messages WHERE"
    moments = "strftime({0} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"

    def __init__(self, _):
        import duckdb

        self.version, self.connect = f"DuckDB {duckdb.__version__}", duckdb.connect

    def begin(self, folder):
        self.folder, self.connection = folder, self.connect(str(folder / "duckdb"))

    def run(self, name):
        with contextlib.chdir(self.folder):
            self.connection.execute(script(self.name, name))

    def execute(self, text):
        self.connection.execute(text)

    def rows(self, query):
        result = self.connection.execute(query)
        names = [column[0] for column in result.description]
        return [dict(zip(names, row)) for row in result.fetchall()]

    def close(self):
        pass


class ClickHouse:
    name, here = "clickhouse", found("chdb")
    remove = "ALTER TABLE messages DELETE WHERE"
    moments = "formatDateTime({0}, '%Y-%m-%dT%H:%i:%S.%fZ', 'UTC')"

    def __init__(self, folder):
        from chdb import session

        self.session = session.Session(str(folder / "clickhouse"))
        self.version = "ClickHouse " + self.rows("SELECT version() AS version")[0]["version"]

    def begin(self, folder):
        self.folder, database = folder, folder.name.replace("-", "_")
        self.execute(f"CREATE DATABASE {database} ENGINE = Atomic")
        self.execute(f"USE {database}")

    def run(self, name):
        with contextlib.chdir(self.folder):
            for statement in statements(script(self.name, name)):
                self.execute(statement)

    def execute(self, text):
        self.session.query(text + (" SETTINGS mutations_sync = 2" if text.startswith("ALTER") else ""))

    def rows(self, query):
        settings = "SETTINGS final = 1, output_format_json_quote_64bit_integers = 0"
        return [
            json.loads(line) for line in str(self.session.query(f"{query} {settings}", "JSONEachRow")).splitlines()
        ]

    def close(self):
        self.session.close()


class PostgreSQL:
    """A cluster of its own in a scratch folder. It runs as the user of Debian's package, because it refuses to run as root."""

    name = "postgres"
    remove = "DELETE FROM messages WHERE"
    moments = """to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None)
    here = programs is not None

    def __init__(self, folder):
        # PostgreSQL's user may not be able to enter the common folder.
        self.folder, self.data, self.database = folder, Path(tempfile.mkdtemp(dir="/tmp")), "postgres"
        self.server("initdb", "-D", self.data / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.server(
            "pg_ctl",
            "-D",
            self.data / "data",
            "-w",
            "-l",
            self.data / "log",
            "-o",
            f"-c listen_addresses= -c unix_socket_directories={self.data} -c fsync=off",
            "start",
        )
        self.version = "PostgreSQL " + self.rows("SELECT current_setting('server_version') AS version")[0]["version"]

    def begin(self, folder):
        self.psql(f'CREATE DATABASE "{folder.name}"')
        self.folder, self.database = folder, folder.name

    def server(self, program, *arguments):
        as_another = ()
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.data, user.pw_uid, user.pw_gid)
            as_another = ("setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups")
        call(*as_another, self.programs.parent / program, *arguments, cwd="/")

    def psql(self, text, *more):
        connection = ("-h", self.data, "-U", "postgres", "-d", self.database)
        done = subprocess.run(
            ["psql", *connection, "-X", "-q", "-v", "ON_ERROR_STOP=1", *more],
            input=text,
            text=True,
            capture_output=True,
            cwd=self.folder,
        )
        if done.returncode != 0:
            raise Failure(f"psql: {done.stderr}")
        return done.stdout

    def run(self, name):
        self.psql(script(self.name, name))

    def execute(self, text):
        self.psql(text)

    def rows(self, query):
        return json.loads(self.psql(f"SELECT coalesce(json_agg(found), '[]') FROM ({query}) AS found", "-At"))

    def close(self):
        self.server("pg_ctl", "-D", self.data / "data", "-w", "-m", "immediate", "stop")
        shutil.rmtree(self.data)


ENGINES = (DuckDB, ClickHouse, PostgreSQL)
