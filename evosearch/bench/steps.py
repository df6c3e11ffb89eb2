"""What a step of the driver costs as slots grow, what its journal adds, and how busy a driver keeps hundreds of slots while it
takes that time.
"""

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from evosearch.bench.busy import OURS, seeds
from evosearch.bench.durations import SMALL_IMAGES, Durations
from evosearch.bench.search import plan_of, run_searches
from evosearch.bench.simulation import Cluster, SimulatedPool, simulate
from evosearch.bench.table import Measure, measures_markdown
from evosearch.runtime import Logbook, Plan
from evosearch.search import RandomSearchSettings
from evosearch.storage import Event, LiveCurve

AT_MOST = 1.0
"""Milliseconds per evaluation of the driver at the most slots, and of its journal: issue 11."""

FLAT = 1.5
"""And at most so many times what it is at the fewest."""

BUSY = 95.0
"""Percent of `Steps.crowd` slots with trainings of a second."""


@dataclass(frozen=True)
class Steps:
    """How much is measured. `per_search`: slots for each search of a group. `at_once`: results in a step, where the journal is
    measured, of `evaluations` in all. `waves`: trainings per slot of the crowd.
    """

    slots: tuple[int, ...] = (100, 400, 1000)
    rounds: int = 3
    per_search: int = 25
    generations: int = 4
    at_once: int = 10
    evaluations: int = 1000
    crowd: int = 400
    waves: int = 20


def measure_steps(steps: Steps, tell: Callable[[str], None] = lambda _: None) -> list[Measure]:
    """Machine and queue by slots, in each round all in turn; the journal; then both while workers wait for them. `tell`: is told
    what is being done.
    """
    workloads: dict[str, Callable[[int], list[Plan]]] = {
        "one generation of twice as many": lambda slots: [_random(2 * slots)],
        f"a search of {steps.generations} generations for each {steps.per_search}": lambda slots: seeds(
            max(1, slots // steps.per_search), steps.generations
        ),
    }
    _milliseconds([_random(50)], 25)  # what is imported late, or computed once, is no step's
    found: dict[tuple[str, int], list[float]] = {}
    for number in range(steps.rounds):
        for slots in steps.slots:
            tell(f"steps of a driver with {slots:,} slots, round {number + 1} of {steps.rounds}")
            for what, plans in workloads.items():
                found.setdefault((what, slots), []).append(_milliseconds(plans(slots), slots))
    measures = [one for what in workloads for one in _by_slots(what, steps.slots, found)]
    tell("a driver's journal")
    measures.append(_journal(steps))
    tell(f"a driver with its journal and {steps.crowd} slots that wait for it")
    return [*measures, _crowd(steps)]


def _random(evaluations: int) -> Plan:
    return plan_of(RandomSearchSettings(evaluations=evaluations))


def _milliseconds(plans: Sequence[Plan], slots: int) -> float:
    seconds = Durations.of(plans[0], 1.0, SMALL_IMAGES).seconds
    return simulate(plans, Cluster(slots), seconds).driver_milliseconds


def _by_slots(
    what: str, sizes: Sequence[int], found: Mapping[tuple[str, int], Sequence[float]]
) -> Iterator[Measure]:
    for slots in sizes:
        target = AT_MOST if slots == max(sizes) else None
        name = f"driver without its journal, CPU per evaluation: {slots:,} slots, {what}"
        yield Measure(name, OURS, tuple(found[what, slots]), "ms", at_most=target)
    fewest, most = (found[what, slots] for slots in (min(sizes), max(sizes)))
    ratios = tuple(many / few for many, few in zip(most, fewest, strict=True))
    name = f"the same of {max(sizes):,} slots to {min(sizes):,}: {what}"
    yield Measure(name, OURS, ratios, "times", at_most=FLAT)


@dataclass
class TimedLogbook:
    """Passes on to `inner`. `seconds`: what appending took so far."""

    inner: Logbook
    seconds: float = 0.0

    @property
    def term(self) -> int:
        """Its."""
        return self.inner.term

    def append(self, facts: Sequence[Event]) -> None:
        """Pass it on, and look at the clock."""
        begun = time.perf_counter()
        self.inner.append(facts)
        self.seconds += time.perf_counter() - begun

    def beat(self) -> None:
        """Pass it on."""
        self.inner.beat()

    def show(self, curves: Sequence[LiveCurve]) -> None:
        """Pass it on."""
        self.inner.show(curves)


def _journal(steps: Steps) -> Measure:
    """Trainings that take the same, so that all slots end at once."""
    found = []
    for _ in range(steps.rounds):
        pool = SimulatedPool(Cluster(steps.at_once, noise=0.0), lambda _: 1.0)
        seconds, _ = _journaled(pool, steps.evaluations)
        found.append(1e3 * seconds / steps.evaluations)
    what = f"journal per evaluation, {steps.at_once} results in a step"
    return Measure(what, OURS, tuple(found), "ms", at_most=AT_MOST)


def _crowd(steps: Steps) -> Measure:
    evaluations = steps.crowd * steps.waves
    seconds = Durations.of(_random(evaluations), 1.0, SMALL_IMAGES).seconds
    pool = SimulatedPool(Cluster(steps.crowd), seconds, hurried=True)
    journal, whole = _journaled(pool, evaluations)
    elapsed = pool.now() - (pool.begun or 0.0)
    what = f"slots busy, simulated with the driver's time and its journal's: {steps.crowd} slots, trainings of 1 s"
    per = 1e3 / evaluations
    note = f"{per * (whole - journal):.2g} ms of driver and {per * journal:.2g} ms of journal per evaluation"
    return Measure(what, OURS, (100 * pool.busy / (elapsed * steps.crowd),), "%", at_least=BUSY, note=note)


def _journaled(pool: SimulatedPool, evaluations: int) -> tuple[float, float]:
    """Seconds that appending to a new journal on disk took in a random search, and all that the driver did."""
    logbooks: list[TimedLogbook] = []

    def timed(logbook: Logbook) -> Logbook:
        logbooks.append(TimedLogbook(logbook))
        return logbooks[-1]

    pool.start()
    with TemporaryDirectory() as folder:
        seconds = run_searches([_random(evaluations)], pool, Path(folder), wrapped=timed)
    return sum(one.seconds for one in logbooks), seconds - pool.spent


def to_markdown(measures: Sequence[Measure]) -> str:
    """The table, and above it where it was made."""
    here = f"evosearch {version('evosearch')}, Python {platform.python_version()}, {os.cpu_count()} cores"
    return f"{here}\n\n{measures_markdown(measures)}"
