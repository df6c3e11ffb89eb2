"""How soon the evaluation of a killed worker is on another one."""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from evosearch.bench.durations import first_chromosomes
from evosearch.bench.queue import StandingPool
from evosearch.bench.search import plan_of, run_searches, tiny_data
from evosearch.bench.table import Measure
from evosearch.errors import InterruptedSearchError
from evosearch.runtime import PoolEvent, TaskDone, WorkerPool, WorkerSettings
from evosearch.search import RandomSearchSettings
from workers import make_pool
from workers.benchmarks.sleepers import SleepingEvaluator, read_notes

TARGET_SECONDS = 1.0
LONG_SECONDS = 600.0
"""Of the training that is killed: longer than anybody waits."""


def measure_recovery(
    rounds: int, executors: Sequence[Literal["ray", "local"]] = ("ray", "local")
) -> list[Measure]:
    """A busy worker is killed by SIGKILL while another one is free; the whole driver, with a journal on disk."""
    names = {"ray": "evosearch, Ray actors", "local": "evosearch, processes"}
    what = "from the death of a worker to its evaluation on another one"
    return [
        Measure(what, names[one], tuple(_measure(one) for _ in range(rounds)), "s", at_most=TARGET_SECONDS)
        for one in executors
    ]


def _measure(executor: Literal["ray", "local"]) -> float:
    plan = plan_of(RandomSearchSettings(evaluations=2))
    first, second = first_chromosomes(plan)
    settings = WorkerSettings(count=2, device="cpu", address="local" if executor == "ray" else None)
    with TemporaryDirectory() as notes, TemporaryDirectory() as home:
        sleeper = SleepingEvaluator({first: LONG_SECONDS, second: 0.0}.__getitem__, notes)
        pool = KillingPool(make_pool(executor, settings, 1, sleeper, tiny_data()), Path(notes))
        try:
            pool.start()
            pool.gather(2)
            pool.introduce()
            run_searches([plan], pool, Path(home), stop_reason=pool.stop_reason)
        except InterruptedSearchError:  # by ourselves, once all is known
            pass
        finally:
            pool.close()
    return pool.seconds


@dataclass(frozen=True, slots=True)
class Killed:
    """A process, and the second since 1970 in which it was killed."""

    process: int
    at: float


class KillingPool(StandingPool):
    """Kills the process of a task as soon as another worker is free, and looks when the task begins in another process.

    `seconds`: between the two.
    """

    def __init__(self, pool: WorkerPool, notes: Path) -> None:
        super().__init__(pool)
        self.seconds = float("nan")
        self._notes = notes
        self._one_is_free = False
        self._killed: Killed | None = None
        self._done = False

    def stop_reason(self) -> str | None:
        """For the driver, once everything is known."""
        return "the benchmark" if self._done else None

    def poll(self, timeout: float) -> Sequence[PoolEvent]:
        """Kill when it is time, then see what happens."""
        self._look()
        events = super().poll(timeout)
        self._one_is_free |= any(isinstance(event, TaskDone) for event in events)
        return events

    def _look(self) -> None:
        endless = [nap for nap in read_notes(str(self._notes)) if nap.end is None]
        if self._killed is None and self._one_is_free and endless:
            self._killed = Killed(endless[0].process, time.time())
            os.kill(self._killed.process, signal.SIGKILL)
        for nap in endless:
            if self._killed is not None and nap.process != self._killed.process:
                self.seconds = nap.begin - self._killed.at
                self._done = True
