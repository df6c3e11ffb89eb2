"""Which share of the slots is busy with real worker processes and a real journal, whose trainings sleep."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from evosearch.bench.busy import GENERATIONS, TARGET_PERCENT, seeds
from evosearch.bench.durations import Durations
from evosearch.bench.search import run_searches, tiny_data
from evosearch.bench.standing import StandingPool
from evosearch.bench.table import Measure
from evosearch.runtime import WorkerSettings
from workers import make_pool
from workers.sleeping import SleepingEvaluator, Slept, read_notes

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
