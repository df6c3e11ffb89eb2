"""How an older version is driven to make a kept home; see `make_homes`, which alone uses it, in a worktree of its own."""

import itertools
import os
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from evosearch.config import load_config
from evosearch.errors import InterruptedSearchError, TooManyFailuresError
from evosearch.runtime import StopSignals
from evosearch.storage import EvaluationRow, Home, SearchRow, open_home
from evosearch.testing import ScriptedPool
from tests.finished_search import Api, measure
from tests.kept.homes import FOLDER, Double
from tests.storage.postgres_server import find_programs

BEGIN = 1_795_000_000.0
"""When the made-up clock begins, in seconds since 1970; it goes on by half a second whenever it is asked."""

CONFIGURATION = """\
name: {name}
seed: {seed}
data: {data}
space: {space}
strategy: {strategy}
training: {training}
workers: {{count: {workers}}}
final: {final}
"""
SPACE = "{convolutions: [1, 5], channels: [4, 12], poolings: [0, 2], dense: [1, 2], units: [8, 24]}"
EAVL = "{population: 6, generations: 3, elites: 1, immigrants: 2, phi: 2}"
TRAINING = "{epochs: 2, batch_size: 16}"


wiring = Api()
"""The version's functions that train, given workers, clock and versions that are made up."""


class KilledError(Exception):
    """The driver has died."""


@dataclass(frozen=True)
class Moment:
    """What the journal says while the search runs."""

    row: SearchRow
    evaluations: Sequence[EvaluationRow]

    def count(self, status: str, generation: int) -> int:
        """How many candidates born into a generation have this status."""
        return sum(one.status == status and one.generation == generation for one in self.evaluations)

    def has_done(self, count: int, generation: int) -> bool:
        """Whether the search is in this generation, and so many of those born into it have a fitness."""
        return self.row.generation == generation and self.count("done", generation) >= count


When = Callable[[Moment], bool]


@dataclass(frozen=True)
class Maker:
    """Makes one home in the working directory, and keeps its journal."""

    name: str
    double: Double
    storage: str | None = None

    @contextmanager
    def home(self) -> Iterator[Home]:
        """The home being made, or one that was unpacked."""
        with open_home(self.storage, env={}, cwd=Path.cwd(), create=True) as home:
            yield home

    @property
    def kept(self) -> Path:
        """Where it is kept."""
        return FOLDER / self.name

    def config(self) -> Any:
        """Of the search, as a user's file gives it; where that was is of this machine alone."""
        config = load_config(self.kept / "search.yaml")
        if getattr(config.data, "beside", None) is None:
            return config
        return replace(config, data=replace(config.data, beside=None))

    def write_config(self, data: str, **changed: str) -> None:
        """Write the configuration file."""
        values = {
            "seed": "0",
            "space": SPACE,
            "strategy": EAVL,
            "training": TRAINING,
            "final": "{epochs: 2}",
        } | changed
        workers = self.double.script.workers
        self.kept.mkdir(parents=True)
        (self.kept / "search.yaml").write_text(
            CONFIGURATION.format(name=self.name, data=data, workers=workers, **values)
        )

    def keep(self) -> None:
        """Keep the journal as it is at this moment, as a kill would leave it, in one compact file."""
        if self.storage is None:
            with sqlite3.connect("runs/journal.db") as connection:
                connection.execute("PRAGMA page_size = 1024")  # tables of a few rows fill no larger one
                connection.execute("VACUUM INTO ?", (str(self.kept / "journal.db"),))
            connection.close()
        else:
            (self.kept / "journal.sql").write_text(_dumped(self.storage))

    @contextmanager
    def killed(self, when: When) -> Iterator[None]:
        """The driver dies before it hears of the next thing when `when` has become true; the journal is kept."""

        def look(_pool: ScriptedPool) -> None:
            if self._is(when):
                self.keep()
                raise KilledError

        with self._looking(look):
            try:
                yield
            except KilledError:
                return
        raise AssertionError(f"{self.name} never came to that")

    @contextmanager
    def stopped(self, when: When) -> Iterator[None]:
        """SIGTERM reaches the driver when `when` has become true."""

        def reason(_signals: object) -> str | None:
            return "SIGTERM" if self._is(when) else None

        with patch.object(StopSignals, "reason", reason):
            try:
                yield
            except InterruptedSearchError:
                return
        raise AssertionError(f"{self.name} never came to that")

    @contextmanager
    def failing(self) -> Iterator[None]:
        """The search ends with 5."""
        try:
            yield
        except TooManyFailuresError:
            return
        raise AssertionError(f"{self.name} did not stop")

    @contextmanager
    def killed_before_reading(self) -> Iterator[None]:
        """The driver dies when the test split is about to be read."""
        submit = ScriptedPool.submit

        def submitted(pool: ScriptedPool, worker: Any, ticket: Any, task: Any) -> None:
            if type(task).__name__.startswith("Prediction"):  # which each version calls otherwise
                self.keep()
                raise KilledError
            submit(pool, worker, ticket, task)

        with patch.object(ScriptedPool, "submit", submitted):
            try:
                yield
            except KilledError:
                return
        raise AssertionError(f"{self.name} never came to that")

    def _is(self, when: When) -> bool:
        with self.home() as home:
            rows = home.journal.searches()
            return bool(rows) and when(Moment(rows[-1], home.journal.evaluations(rows[-1].name)))

    @contextmanager
    def _looking(self, look: Callable[[ScriptedPool], None]) -> Iterator[None]:
        poll = ScriptedPool.poll

        def polled(pool: ScriptedPool, timeout: float) -> Any:
            look(pool)
            return poll(pool, timeout)

        with patch.object(ScriptedPool, "poll", polled):
            yield


def _dumped(url: str) -> str:
    """The whole database as SQL that any client can run."""
    programs = find_programs()
    assert programs is not None
    command = [programs / "pg_dump", "--inserts", "--no-owner", "--no-privileges", url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [line for line in text.splitlines() if line and not line.startswith(("--", "\\"))]
    return "\n".join(lines) + "\n"


# The surroundings


@contextmanager
def doubled(double: Double) -> Iterator[None]:
    """No worker is a process: `double` stands in."""

    def make_pool(
        executor: Any,
        settings: Any,
        threads: Any,
        factory: Any,
        data: Any,
        reach: Any = None,
        most: Any = None,
        peak: Any = None,
    ) -> Any:
        return ScriptedPool(double.evaluator(data, "cpu"), double.script)

    versions = {"evosearch": "kept"}
    with wiring.giving(make_pool=make_pool, versions=lambda: versions, measure_sizes=measure):
        yield


@contextmanager
def nowhere() -> Iterator[None]:
    """Made-up host and process id, and no settings of a user."""
    with (
        patch.object(socket, "gethostname", lambda: "host"),
        patch.object(os, "getpid", lambda: 1),
        patch.dict(os.environ),
    ):
        for name in ("EVOSEARCH_HOME", "EVOSEARCH_DATA", "RAY_ADDRESS"):
            os.environ.pop(name, None)
        yield


@contextmanager
def made_up_clock() -> Iterator[None]:
    """The same times whenever this is run."""
    ticks = (BEGIN + tick / 2 for tick in itertools.count())
    with patch.object(time, "time", lambda: next(ticks)), wiring.giving(clock=lambda: next(ticks)):
        yield


@contextmanager
def working_directory() -> Iterator[Path]:
    """A new, empty one."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)
