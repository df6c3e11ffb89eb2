"""Which share of the slots is busy: by simulation with the real driver, and with real worker processes whose trainings sleep."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evosearch.bench.durations import LARGE_IMAGES, SMALL_IMAGES, Durations
from evosearch.bench.queue import StandingPool
from evosearch.bench.search import make_plan, run_searches, tiny_data
from evosearch.bench.simulation import Cluster, simulate
from evosearch.bench.table import Measure
from evosearch.evaluation import Outcome, Trial, TrialId
from evosearch.runtime import Plan, WorkerSettings
from evosearch.runtime.machine.plan import Size
from evosearch.search import AnyStrategy, Candidate, Origin, SearchProgress
from workers import make_pool
from workers.benchmarks.sleepers import SleepingEvaluator, Slept, read_notes

TARGET_PERCENT = 95.0
"""Issue 3: on 8 slots with 40 offspring, and on 40 slots with four seeds."""

GENERATIONS = 20
IMAGES = {"large images": LARGE_IMAGES, "small images": SMALL_IMAGES}
OURS = "evosearch"


@dataclass(frozen=True)
class Barrier:
    """A strategy without early immigrants: nothing of the next generation is known before this one is done."""

    inner: AnyStrategy

    @property
    def evaluations(self) -> int:
        """As many."""
        return self.inner.evaluations

    def start(self) -> Any:
        """The same."""
        return self.inner.start()

    def ask(self, state: Any, *, early: bool = False) -> tuple[Trial, ...]:  # noqa: ARG002 - the point
        """Members of this generation only."""
        return self.inner.ask(state)

    def tell(self, state: Any, outcomes: Mapping[TrialId, Outcome]) -> Any:
        """The same."""
        return self.inner.tell(state, outcomes)

    def reopen(self, state: Any, trials: Set[TrialId]) -> Any:
        """The same."""
        return self.inner.reopen(state, trials)

    def progress(self, state: Any) -> SearchProgress:
        """The same."""
        return self.inner.progress(state)

    def finished(self, state: Any) -> bool:
        """The same."""
        return self.inner.finished(state)


@dataclass(frozen=True)
class FirstCome(Plan):
    """A plan that knows of no work, so that the lowest number goes first."""

    def size(self, trial: Trial) -> Size | None:
        """The same work for all."""
        size = super().size(trial)
        return size and replace(size, work=(1.0, 0.0, 0.0, 0.0, 0.0))


VARIANTS: Mapping[str, Callable[[Plan], Plan]] = {
    OURS: lambda plan: plan,
    "first come, first served": lambda plan: FirstCome(**_fields(plan)),
    "no early immigrants": lambda plan: replace(plan, strategy=Barrier(plan.strategy)),
    "neither": lambda plan: FirstCome(**_fields(replace(plan, strategy=Barrier(plan.strategy)))),
}


def measure_busy_share(generations: int = GENERATIONS) -> list[Measure]:
    """Shares of a search of the papers' size (population 50, 10 elites, 10 immigrants), and of four seeds at once."""
    found: list[Measure] = []
    for images in IMAGES:
        for slots in (4, 8, 16, 20, 40):
            found += _shares(images, slots, 1, generations, promised=slots == 8)
        found += _shares(images, 40, 4, generations, promised=True)
    return found


def seeds(count: int, generations: int, population: int = 50, elites: int = 10) -> list[Plan]:
    """Searches of a group that differ in their seeds."""
    return [make_plan(population, generations, elites, seed) for seed in range(count)]


def _fields(plan: Plan) -> dict[str, Any]:
    return {name: getattr(plan, name) for name in plan.__dataclass_fields__}


def _shares(images: str, slots: int, count: int, generations: int, *, promised: bool) -> Iterator[Measure]:
    what = f"slots busy, simulated: {slots} slots, {count} {'search' if count == 1 else 'seeds'}, {images}"
    cluster = Cluster(slots)
    plans = seeds(count, generations)
    durations = Durations.of(plans[0], 1.0, IMAGES[images])
    # tables show what was promised, and the slots where a barrier costs most
    detail = not promised and (images, slots) != ("large images", 20)
    for name, variant in VARIANTS.items():
        run = simulate([variant(plan) for plan in plans], cluster, durations.seconds)
        target = TARGET_PERCENT if promised and name == OURS else None
        yield Measure(
            what, name, (run.busy_percent,), "%", at_least=target, detail=detail or name == "neither"
        )
        if name == OURS:
            highest = bound(run.trained, run.born, slots)
    yield Measure(what, "bound: no order can be better", (highest * 100,), "%", detail=detail)


def bound(
    trained: Mapping[tuple[str, int], float], born: Mapping[tuple[str, int], Candidate], slots: int
) -> float:
    """The busy share that no order exceeds, 0 to 1, knowing how long every evaluation took.

    A search cannot end before its slots have done all work, nor before its generations have ended one after the other:
    the children of each need the results of the one before, so each takes at least its longest child.

    Args:
        trained: seconds by search and number.
        born: the candidates by search and number.
        slots: how many trained at once.
    """
    longest: dict[tuple[str, int], float] = {}
    for (search, number), seconds in trained.items():
        candidate = born[search, number]
        if candidate.origin is not Origin.IMMIGRANT:
            key = search, candidate.generation
            longest[key] = max(longest.get(key, 0.0), seconds)
    names = {search for search, _ in trained}
    path = max(sum(one for (search, _), one in longest.items() if search == name) for name in names)
    area = sum(trained.values()) / slots
    return area / max(area, path)


OURS_AS_PROCESSES = "evosearch, processes"


@dataclass(frozen=True)
class Crowd:
    """So many searches on so many slots. `mean`: seconds of a training on average."""

    slots: int
    searches: int
    generations: int = GENERATIONS
    mean: float = 1.0

    @property
    def what(self) -> str:
        """In words."""
        searches = "1 search" if self.searches == 1 else f"{self.searches} seeds"
        return f"{self.slots} slots, {searches}, trainings of {self.mean:g} s"


def measure_crowd(crowd: Crowd) -> Measure:
    """The papers' search (population 50, 40 offspring, 20 generations) from its first training to its last."""
    plans = seeds(crowd.searches, crowd.generations)
    settings = WorkerSettings(count=crowd.slots, device="cpu", recycle_after=None, recycle_growth=None)
    with TemporaryDirectory() as notes, TemporaryDirectory() as home:
        sleeper = SleepingEvaluator(Durations.of(plans[0], crowd.mean).seconds, notes)
        pool = StandingPool(make_pool("local", settings, 1, sleeper, tiny_data()))
        try:
            pool.start()
            pool.gather(crowd.slots)
            pool.introduce()
            run_searches(plans, pool, Path(home))
        finally:
            pool.close()
        share = busy_share(read_notes(notes), crowd.slots)
    return Measure(
        f"slots busy: {crowd.what}", OURS_AS_PROCESSES, (100 * share,), "%", at_least=TARGET_PERCENT
    )


def busy_share(naps: Sequence[Slept], slots: int) -> float:
    """The share, 0 to 1, of the slots' time from the first begin to the last end that was asked for."""
    ends = [nap.begin + nap.seconds for nap in naps]
    elapsed = max(ends) - min(nap.begin for nap in naps)
    return sum(nap.seconds for nap in naps) / (slots * elapsed)
