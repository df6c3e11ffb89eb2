"""What a journal of 10,000 evaluations costs those who come to it, a resume and a reader, and what a driver holds by then."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from evosearch.bench.durations import Durations
from evosearch.bench.search import make_plan, run_searches
from evosearch.bench.simulation import Cluster, SimulatedPool
from evosearch.bench.table import Figure, Measure
from evosearch.importing import child_environment
from evosearch.runtime import DriverState, Plan, Silence
from evosearch.storage import Event
from evosearch.testing import FormulaEvaluator, ScriptedPool

POPULATION, GENERATIONS, ELITES = 120, 100, 20  # 120 + 99 x 100 = 10,020 evaluations

PROBE = """
import json, sys, time
from pathlib import Path
from evosearch.bench.journal import resident
from evosearch.bench.search import NAME, make_plan
from evosearch.runtime import replay
from evosearch.storage import open_journal
home, what = Path(sys.argv[1]), sys.argv[2]
begun = time.perf_counter()
with open_journal(home / "journal.db", must_exist=True) as journal:
    if what == "resume":
        plan = make_plan(*map(int, sys.argv[3:6]))
        state = replay(plan, (recorded.event for recorded in journal.replay(NAME)))
        assert plan.strategy.finished(state.search)
    else:
        assert journal.find(NAME) and journal.best(NAME) and journal.searches()
seconds = time.perf_counter() - begun
print(json.dumps([seconds, resident("VmHWM")]))
"""
"""Run in a process of its own, so that its memory is only its own."""


def measure_journal() -> list[Figure]:
    """Write the journal with a real driver, then come to it in fresh processes."""
    plan = make_plan(POPULATION, GENERATIONS, ELITES)
    count = plan.strategy.evaluations
    with TemporaryDirectory() as folder:
        home = Path(folder)
        pool = ScriptedPool(FormulaEvaluator())
        pool.start()
        written = run_searches([plan], pool, home)
        size = (home / "journal.db").stat().st_size / 2**20
        seconds, mebibytes = _probe(home, "resume", POPULATION, GENERATIONS, ELITES)
        looked, _ = _probe(home, "status")
    return [
        Figure(f"writing a journal of {count:,} evaluations, per evaluation", written / count * 1e3, "ms"),
        Figure("its size", size, "MiB"),
        Figure("replaying it for a resume", seconds, "s", 10.0),
        Figure("memory of the process that does", mebibytes, "MiB", 500.0),
        Figure("what `status` reads of it", looked, "s", 0.5),
    ]


def _probe(home: Path, what: str, *arguments: int) -> tuple[float, float]:
    command = [sys.executable, "-P", "-c", PROBE, str(home), what, *map(str, arguments)]
    env = {**os.environ, **child_environment()}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)  # noqa: S603 - our own program
    seconds, mebibytes = json.loads(done.stdout)
    return seconds, mebibytes


POPULATION, ELITES = 120, 20
TARGET_PER_THOUSAND = 1.0
"""MiB: every success is remembered, so that equal networks train once."""

PROGRAM = """
import json, sys
from pathlib import Path
from evosearch.bench.journal import hold
print(json.dumps(hold(Path(sys.argv[1]), int(sys.argv[2]))))
"""


def measure_memory(evaluations: int = 10_000) -> list[Measure]:
    """The memory of a driver with a journal on disk, in a process of its own, as its search gets longer.

    The growth is that of the second half: in the first one caches of bounded size fill.
    """
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-P", "-c", PROGRAM, folder, str(evaluations)]
        env = {**os.environ, **child_environment()}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)  # noqa: S603 - our own program
    held = {int(count): mebibytes for count, mebibytes in json.loads(done.stdout).items()}
    first, *_, last = sorted(held)
    middle = sorted(held)[len(held) // 2 - 1]
    growth = 1000 * (held[last] - held[middle]) / (last - middle)
    what = f"growth of the driver's memory per 1,000 evaluations, from {middle:,} to {last:,}"
    return [
        _measure(f"driver's memory after {first:,} evaluations", held[first]),
        _measure(f"driver's memory after {last:,} evaluations", held[last]),
        replace(_measure(what, growth), at_most=TARGET_PER_THOUSAND),
    ]


def _measure(what: str, mebibytes: float) -> Measure:
    return Measure(what, "evosearch", (mebibytes,), "MiB")


def hold(folder: Path, evaluations: int) -> dict[int, float]:
    """MiB of this process by evaluations done, ten times on the way through a search of about so many."""
    generations = 1 + round((evaluations - POPULATION) / (POPULATION - ELITES))
    plan = make_plan(POPULATION, max(2, generations), ELITES)
    pool = SimulatedPool(Cluster(8), Durations.of(plan, 1.0).seconds)
    gauge = Gauge(max(1, evaluations // 10), forget=pool.trained.clear)
    pool.start()
    run_searches([plan], pool, folder, watcher=gauge)
    return gauge.held


class Gauge(Silence):
    """A watcher that looks at the memory of this process whenever `every` evaluations more have ended.

    `held`: MiB by evaluations. `forget`: drops what no driver holds before each look.
    """

    def __init__(self, every: int, forget: Callable[[], None]) -> None:
        self.held: dict[int, float] = {}
        self._every = every
        self._forget = forget

    def observe(self, plan: Plan, state: DriverState, facts: Sequence[Event]) -> None:
        """Look."""
        del plan, facts
        step = self._every * (len(self.held) + 1)
        if (
            state.ended >= step
        ):  # a fitness that is remembered may come on top, so that no number is sure to be met
            self._forget()
            self.held[step] = resident("VmRSS")


def resident(field: Literal["VmRSS", "VmHWM"]) -> float:
    """MiB that this process holds now, or held at most.

    `getrusage` has only the latter, and of Linux's it is not this program's alone: what the parent held when it forked
    counts too.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    values = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(values[field].split()[0]) / 1024
