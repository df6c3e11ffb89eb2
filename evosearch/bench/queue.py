"""What driver, queue and journal cost per evaluation, beside the same tasks handed to the same pool bare."""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from evosearch.bench.search import NAME, make_plan, plan_of, run_searches, tiny_data
from evosearch.bench.table import Figure
from evosearch.evaluation import TrialTask
from evosearch.runtime import Plan, TaskDone, Ticket, Worker, WorkerJoined, WorkerPool
from evosearch.search import RandomSearchSettings
from evosearch.testing import FormulaEvaluator
from workers.process_pool import ProcessPool
from workers.slots import Slot

WORKERS = 4
ROUNDS = 3


def measure_queue() -> list[Figure]:
    """A search of the paper's size (810 evaluations) whose trainings take no time, on 4 worker processes.

    The whole driver is measured: asking the strategy, breeding, committing every dispatch and result with a
    full sync, handing out, waiting. Rounds are interleaved with the bare pool's; medians are given.
    """
    plan = make_plan(population=50, generations=20, elites=10)
    random = plan_of(RandomSearchSettings(evaluations=1000))
    count = plan.strategy.evaluations
    driven, at_once, bare = [], [], []
    for _ in range(ROUNDS):
        driven.append(_drive(plan))
        at_once.append(_drive(random))
        pool = _start_pool()
        bare.append(_hand_out(pool, _requests(plan, count)) / count)
        pool.close()
    per, alone = median(driven) * 1e3, median(bare) * 1e3
    return [
        Figure(f"driver, queue and journal per evaluation, {WORKERS} workers, no training", per, "ms", 5.0),
        Figure("the same for a random search of 1000, all one generation", median(at_once) * 1e3, "ms", 5.0),
        Figure("the first search's tasks handed to the same pool bare", alone, "ms"),
        Figure("ratio", per / alone, "times"),
    ]


def _drive(plan: Plan) -> float:
    """Seconds per evaluation of a whole search with a new journal."""
    with TemporaryDirectory() as folder:
        pool = _start_pool()
        try:
            return run_searches([plan], pool, Path(folder)) / plan.strategy.evaluations
        finally:
            pool.close()


def _start_pool() -> WorkerPool:
    pool = ProcessPool(FormulaEvaluator(), tiny_data(), (Slot("cpu", 1),) * WORKERS)
    pool.start()
    return pool


def _requests(plan: Plan, count: int) -> list[TrialTask]:
    first = plan.strategy.ask(plan.strategy.start())
    return [plan.task(first[number % len(first)]) for number in range(count)]


def _hand_out(pool: WorkerPool, tasks: Sequence[TrialTask]) -> float:
    waiting = list(enumerate(tasks))
    free: list[Worker] = []
    ended = 0
    begun = None
    while ended < len(tasks):
        for event in pool.poll(1.0):
            if isinstance(event, WorkerJoined | TaskDone):
                begun = begun or time.perf_counter()
                free.append(event.worker)
            ended += isinstance(event, TaskDone)
        while free and waiting:
            number, task = waiting.pop()
            pool.submit(free.pop(), Ticket(NAME, 1, number, 1), task)
    return time.perf_counter() - (begun or 0.0)
