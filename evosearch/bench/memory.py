"""What a driver holds after so many evaluations: it must not grow with the length of its search."""

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
from evosearch.bench.table import Measure
from evosearch.importing import child_environment
from evosearch.runtime import DriverState, Plan, Silence
from evosearch.storage import Event

POPULATION, ELITES = 120, 20
TARGET_PER_THOUSAND = 1.0
"""MiB: every success is remembered, so that equal networks train once."""

PROGRAM = """
import json, sys
from pathlib import Path
from evosearch.bench.memory import hold
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
