"""What a driver holds after so many evaluations: it must not grow with the length of its search."""

import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from evosearch.bench.durations import Durations
from evosearch.bench.search import make_plan, run_search
from evosearch.bench.simulation import Cluster, SimulatedPool
from evosearch.bench.table import Measure
from evosearch.runtime import DriverState, Plan, Silence
from evosearch.storage import Event

POPULATION, ELITES = 120, 20
TARGET_PER_THOUSAND = 1.0
"""MiB. Every 1,000 successes are remembered, so that equal networks train once; that is a few hundred bytes each."""

PROGRAM = """
import json, sys
from pathlib import Path
from evosearch.bench.memory import hold
print(json.dumps(hold(Path(sys.argv[1]), int(sys.argv[2]))))
"""


def measure_memory(evaluations: int = 10_000) -> list[Measure]:
    """The memory of a driver with a journal on disk, in a process of its own, as its search gets longer."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-c", PROGRAM, folder, str(evaluations)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own program
    held: dict[str, float] = json.loads(done.stdout)
    early, late = min(map(int, held)), max(map(int, held))
    growth = 1000 * (held[str(late)] - held[str(early)]) / (late - early)
    return [
        Measure(f"driver's memory after {early:,} evaluations", "evosearch", (held[str(early)],), "MiB", detail=True),
        Measure(f"driver's memory after {late:,} evaluations", "evosearch", (held[str(late)],), "MiB"),
        Measure(
            f"its growth per 1,000 evaluations, {early:,} to {late:,}",
            "evosearch",
            (growth,),
            "MiB",
            at_most=TARGET_PER_THOUSAND,
        ),
    ]


def hold(folder: Path, evaluations: int) -> dict[int, float]:
    """MiB of this process by evaluations done, ten times on the way through a search of about so many."""
    generations = 1 + round((evaluations - POPULATION) / (POPULATION - ELITES))
    plan = make_plan(POPULATION, max(2, generations), ELITES)
    pool = SimulatedPool(Cluster(8), Durations.of(plan, 1.0).seconds)
    gauge = Gauge(max(1, evaluations // 10))
    pool.start()
    run_search(plan, pool, folder, watcher=gauge)
    return gauge.held


class Gauge(Silence):
    """A watcher that looks at the memory of this process whenever `every` evaluations more have ended.

    `held`: MiB by evaluations.
    """

    def __init__(self, every: int) -> None:
        self.held: dict[int, float] = {}
        self._every = every

    def observe(self, plan: Plan, state: DriverState, facts: Sequence[Event]) -> None:
        """Look."""
        del plan, facts
        if state.ended and state.ended % self._every == 0:
            self.held.setdefault(state.ended, resident("VmRSS"))


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
