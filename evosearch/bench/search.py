"""A search without training, for benchmarks: real driver, real journal, a formula for a fitness."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from evosearch.blueprint import ImageShape, Problem
from evosearch.data import SearchData, Split
from evosearch.evaluation import TrainingSettings
from evosearch.genome import SearchSpace
from evosearch.runtime import (
    Fleet,
    Logbook,
    Member,
    Plan,
    Silence,
    Surroundings,
    Watcher,
    WorkerPool,
    drive,
    replay,
)
from evosearch.search import EavlSettings, SearchContext, StrategySettings
from evosearch.storage import DriverStarted, JournalLogbook, SearchCreated, open_journal, take

NAME = "bench"
SILENCE = Silence()


def make_plan(population: int, generations: int, elites: int, seed: int | None = None) -> Plan:
    """EAVL with a population of any size, a fifth of which are immigrants; with a seed a member of a group."""
    settings = EavlSettings(
        population=population, generations=generations, elites=elites, immigrants=population // 5
    )
    return plan_of(settings) if seed is None else plan_of(settings, f"{NAME}/seed-{seed}", seed)


def plan_of(settings: StrategySettings, name: str = NAME, seed: int = 0) -> Plan:
    """Any strategy on the paper's space at 32 pixels."""
    context = SearchContext(SearchSpace(), Problem(ImageShape(3, 32, 32), 2), TrainingSettings(), seed)
    return Plan(name, settings.make(context), context, "bench")


def tiny_data() -> SearchData:
    """Data for workers that do not train."""
    split = Split(np.zeros((4, 1, 8, 8), np.uint8), np.array([0, 1, 0, 1], np.int64))
    return SearchData(split, split, ("no", "yes"), "bench")


def run_searches(
    plans: Sequence[Plan],
    pool: WorkerPool,
    folder: Path,
    *,
    watcher: Watcher = SILENCE,
    stop_reason: Callable[[], str | None] = lambda: None,
    wrapped: Callable[[Logbook], Logbook] = lambda logbook: logbook,
) -> float:
    """Drive `plans` side by side on a started pool with a new journal in `folder`; the seconds it took. `wrapped`: what the
    driver writes to instead of each logbook.

    Raises:
        InterruptedSearchError: `stop_reason` gave one.
    """
    configuration = {"strategy": {"generations": 1}}
    started = DriverStarted("bench", 0, "local", configuration)
    with open_journal(folder / "journal.db", must_exist=False) as journal, ExitStack() as held:
        logbooks: dict[str, Logbook] = {}
        for name in (plan.name for plan in plans):
            journal.create_search(name, SearchCreated(configuration, "bench", {}, 1), time.time())
            hold = held.enter_context(take(journal, folder / name, name, started, time.time))
            logbooks[name] = wrapped(JournalLogbook(journal, name, hold, stop_reason, watcher.note))
        world = Surroundings(pool, logbooks, time.monotonic, stop_reason, watcher)
        begun = time.perf_counter()
        drive(Fleet.of(*(Member(plan, replay(plan, ())) for plan in plans)), world)
        return time.perf_counter() - begun
