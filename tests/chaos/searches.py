"""A search to be disturbed, the driver that runs it in a process of its own, and what must hold in the end."""

import os
import pickle
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

from evosearch import api
from evosearch.config import load_config
from evosearch.errors import EvosearchError
from evosearch.reports import results_document
from evosearch.runtime import EvaluatorFactory
from evosearch.storage import (
    Born,
    Dispatched,
    DriverStarted,
    Event,
    Failed,
    Finished,
    Recalled,
    Recorded,
    open_home,
)
from evosearch.testing import FormulaEvaluator, ScriptedPool
from tests.chaos.arena import until

ROOT = Path(__file__).parents[2]
NAME = "disturbed"
CONFIG = """
seed: 7
data: {{name: digits}}
space: {{convolutions: [1, 3], channels: [4, 12], poolings: [0, 2], dense: [1, 1], units: [8, 24]}}
strategy: {{population: 8, generations: {generations}, elites: 2, immigrants: 2}}
training: {{epochs: 1, batch_size: 64, learning_rate: 3e-3}}
workers: {workers}
"""
REASON = re.compile(r"attempt \d+ on \S+: \w+: \S.*|abandoned: \S.*")
"""One line with a text of its own."""

Kind = TypeVar("Kind", bound=Event)
Result = tuple[list[dict[str, Any]], list[Any], int | None]


class Place(Protocol):
    """Where drivers run. `address`: of the cluster they connect to. `prefix`: of every command."""

    @property
    def address(self) -> str: ...

    @property
    def prefix(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Run:
    """An attempt: its worker had it between two events, given by their sequence numbers."""

    number: int
    attempt: int
    worker: str
    begun: int
    ended: int

    @property
    def device(self) -> str:
        """What the worker shares with others: it is called DEVICE-SERIAL."""
        return self.worker.rpartition("-")[0]

    def overlaps(self, other: "Run") -> bool:
        """Whether both were on one device at once."""
        together = self.begun < other.ended and other.begun < self.ended
        return self != other and self.device == other.device and together


class Search:
    """A search in a home of its own, and its drivers, one after another or side by side."""

    def __init__(
        self,
        folder: Path,
        place: Place | None,
        evaluator: EvaluatorFactory,
        *,
        generations: int = 3,
        workers: str = "{}",
        home: Path | None = None,
    ) -> None:
        self.home = home or folder / "home"
        self.journal_file = self.home / "journal.db"
        self.generations = generations
        self._folder = folder
        self._place = place
        self._evaluator = evaluator
        self._drivers: list[Driver] = []
        self.config = folder / f"{NAME}.yaml"
        self.config.write_text(CONFIG.format(generations=generations, workers=workers))

    def __enter__(self) -> "Search":
        return self

    def __exit__(self, *_: object) -> None:
        for driver in self._drivers:
            driver.close()

    def start(self, *options: str, env: dict[str, str] | None = None) -> "Driver":
        """`evosearch run`, which goes on where the search stands."""
        assert self._place
        command = [
            *self._place.prefix,
            *(sys.executable, "-m", "tests.chaos.driver_program", pickle.dumps(self._evaluator).hex()),
            *("run", str(self.config), "--executor", "ray", "--address", self._place.address, *options),
        ]
        log = self._folder / f"log-{len(self._drivers)}"
        self._drivers.append(Driver(command, {"EVOSEARCH_HOME": str(self.home), **(env or {})}, log))
        return self._drivers[-1]

    def events(self) -> list[Recorded]:
        """All that is journaled; nothing as long as there is no journal or no search in it."""
        try:
            with open_home(None, env=self._env, cwd=self._folder, create=False) as home:
                return list(home.journal.replay(NAME))
        except EvosearchError:
            return []

    def all(self, kind: type[Kind]) -> list[Kind]:
        """The events of one kind."""
        return [one.event for one in self.events() if isinstance(one.event, kind)]

    def recorded(self, event: Event) -> Recorded:
        """An event with its place in the journal."""
        return next(one for one in self.events() if one.event == event)

    def runs(self) -> list["Run"]:
        """All attempts that have ended, in the order in which they did."""
        begun: dict[tuple[int, int], Recorded] = {}
        ended = []
        for one in self.events():
            match one.event:
                case Dispatched(number, attempt):
                    begun[number, attempt] = one
                case Finished(number, attempt, worker) | Failed(number, attempt, worker):
                    first = begun[number, attempt].sequence
                    ended.append(Run(number, attempt, worker, first, one.sequence))
        return ended

    def wait_for(self, kind: type[Kind], count: int = 1, seconds: float = 45) -> list[Kind]:
        """The events of one kind, as soon as there are so many; a driver that ends before fails the test."""
        newest = self._drivers[-1]

        def look() -> list[Kind]:
            found = self.all(kind)
            if len(found) < count:
                assert newest.process.poll() is None, newest.log()
            return found if len(found) >= count else []

        try:
            return until(look, f"{count} of {kind.__name__}", seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{newest.log()}") from error

    def wait_for_retries(self) -> set[str]:
        """The keys of the networks that were given out again, as soon as there are some."""

        def look() -> set[int]:
            return {one.number for one in self.all(Dispatched) if one.attempt > 1}

        again = until(look, "an evaluation is given out again")
        return {one.candidate.chromosome.key for one in self.all(Born) if one.candidate.number in again}

    def finish(self, driver: "Driver", seconds: float = 60) -> None:
        """Let `driver` end the search, and see that it is as if nothing had happened."""
        assert driver.wait(seconds) == 0, driver.log()
        self.check()

    def check(self) -> None:
        """The end is the undisturbed one; nothing was recorded twice; every retry has its reason."""
        expected = undisturbed(self.generations)
        assert result_of(self.home) == expected
        ends = Counter(one.number for one in self.all(Finished) + self.all(Recalled))
        assert ends == Counter(range(len(expected[0])))
        self._check_reasons()

    def _check_reasons(self) -> None:
        """`results` tells why each attempt but the last came to nothing; none was dispatched twice."""
        dispatched = [(one.number, one.attempt) for one in self.all(Dispatched)]
        assert len(set(dispatched)) == len(dispatched)
        given = Counter(number for number, _ in dispatched)
        with open_home(None, env=self._env, cwd=self._folder, create=False) as home:
            for row in results_document(home.journal.evaluations(NAME)):
                assert row["attempts"] == given[row["number"]], row
                assert len(row["reasons"]) == row["attempts"] - (0 if row["cached"] else 1), row
                assert all(REASON.fullmatch(reason) for reason in row["reasons"]), row

    @property
    def _env(self) -> dict[str, str]:
        return {"EVOSEARCH_HOME": str(self.home)}

    @property
    def terms(self) -> int:
        """How many drivers held it so far."""
        return len(self.all(DriverStarted))


class Driver:
    """One `evosearch` in a process of its own; its standard error goes to a file."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(
                command, env={**os.environ, **env}, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=file
            )

    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text()

    def wait_for_line(self, text: str, seconds: float = 30) -> str:
        """The first line that has `text` in it, as soon as it is there."""

        def look() -> str:
            return next((line for line in self.log().splitlines() if text in line), "")

        try:
            return until(look, text, seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.log()}") from error

    def kill(self) -> None:
        """SIGKILL, at this very instant."""
        self.process.send_signal(signal.SIGKILL)
        self.wait(10)

    def wait(self, seconds: float = 60) -> int:
        """Its exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"not ended within {seconds:.0f} s:\n{self.log()}") from error

    def close(self) -> None:
        """End it whatever it does."""
        self.process.kill()
        self.process.wait()


def result_of(home: Path) -> Result:
    """Every candidate, every generation's members, and the best: what no disturbance may change."""
    kept = (
        "number",
        "generation",
        "origin",
        "parents",
        "operators",
        "chromosome",
        "status",
        "fitness",
        "cached",
    )
    with open_home(None, env={"EVOSEARCH_HOME": str(home)}, cwd=home, create=False) as opened:
        journal = opened.journal
        rows = [{key: getattr(row, key) for key in kept} for row in journal.evaluations(NAME)]
        row = journal.find(NAME)
        assert row is not None
        assert row.state == "done"
        best = journal.best(NAME)
        return rows, list(journal.generations(NAME)), best.number if best else None


@lru_cache
def undisturbed(generations: int) -> Result:
    """What the search comes to without a cluster, without time, and with nothing going wrong."""
    with TemporaryDirectory() as folder:
        config = Path(folder, f"{NAME}.yaml")
        config.write_text(CONFIG.format(generations=generations, workers="{}"))
        home = Path(folder, "home")
        with open_home(None, env={"EVOSEARCH_HOME": str(home)}, cwd=home.parent, create=True) as opened:
            api.run(
                load_config(config), opened, executor="local", providers=api.Providers(make_pool=_scripted)
            )
        return result_of(home)


def _scripted(*arguments: Any, **_: Any) -> ScriptedPool:
    data = arguments[4]
    return ScriptedPool(FormulaEvaluator()(data, "cpu"))
