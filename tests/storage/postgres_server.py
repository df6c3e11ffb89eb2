"""A PostgreSQL server for tests: in a folder of its own, behind a Unix socket, gone at the end."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

NOBODY = 65534
OWNER = "evosearch"
SETTINGS = "-c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=40"


def find_programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`: on the PATH, or where Debian puts them; None: not installed."""
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((found.parent for found in versions), key=lambda path: int(path.parent.name), default=None)


@dataclass(frozen=True)
class PostgresServer:
    """A running server; `folder` holds its socket, its data and its log."""

    programs: Path
    folder: Path
    _numbers: Iterator[int] = field(default_factory=count)

    @classmethod
    @contextmanager
    def running(cls, programs: Path) -> Iterator["PostgresServer"]:
        """A server that is stopped at the end."""
        with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
            server = cls(programs, Path(folder))
            if os.geteuid() == 0:
                os.chown(folder, NOBODY, NOBODY)
            server._run("initdb", "--auth=trust", f"--username={OWNER}", "--encoding=UTF8", "--no-sync")
            guarded = "local all guarded scram-sha-256\n"
            hba = server.folder / "data" / "pg_hba.conf"
            hba.write_text(guarded + hba.read_text())
            server.start()
            with server._guarded():
                yield server

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """The server is stopped at the end, and also where this process is killed before: its pipe closes then."""
        stop = f"cat; exec {self.programs / 'pg_ctl'} stop -w -m immediate -D {self.folder / 'data'}"
        guard = subprocess.Popen(
            ["sh", "-c", stop],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            **_unprivileged(),
        )
        try:
            yield
        finally:
            guard.communicate()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"{SETTINGS} -c unix_socket_directories={self.folder}"
        self._run("pg_ctl", "start", "-w", "-l", str(self.folder / "log"), "-o", options)

    def stop(self) -> None:
        """Stop it; whoever is connected is cut off."""
        self._run("pg_ctl", "stop", "-w", "-m", "fast")

    def create_database(self, options: str = "") -> str:
        """The URL of a new, empty database."""
        name = f"db{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove what `create_database` made; whoever is connected is cut off."""
        self.execute(f"DROP DATABASE {url.partition('@/')[2].partition('?')[0]} WITH (FORCE)")

    def url(self, database: str, user: str = OWNER) -> str:
        """The URL of a database for a user, who may be followed by `:password`."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """Run one statement by itself; its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: str) -> None:
        errors = self.folder / f"{program}.errors"  # no pipe: the server would keep it open
        with errors.open("w") as file:
            ended = subprocess.run(
                [self.programs / program, *arguments, "-D", self.folder / "data"],
                **_unprivileged(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                check=False,
            )
        assert ended.returncode == 0, f"{program} {' '.join(arguments)}: {errors.read_text()}"


def _unprivileged() -> dict[str, Any]:
    """How to start PostgreSQL's programs, which refuse to run as root."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
