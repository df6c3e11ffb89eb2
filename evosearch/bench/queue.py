"""What driver, queue and journal cost per evaluation, beside the same tasks handed to the same pool bare; the pool outlives
its driver, so that several searches are measured on the same workers.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Literal

from evosearch.bench.search import NAME, make_plan, plan_of, run_searches, tiny_data
from evosearch.bench.table import Figure
from evosearch.errors import CannotRunError
from evosearch.evaluation import FailureKind, Task, TrialTask
from evosearch.runtime import Plan, PoolEvent, TaskDone, Ticket, Worker, WorkerJoined, WorkerLeft, WorkerPool
from evosearch.search import RandomSearchSettings
from evosearch.testing import FormulaEvaluator
from workers.process_pool.pool import ProcessPool
from workers.slots import Slot

START_SECONDS = 300.0


class StandingPool:
    """Passes everything on to `pool`, and tells each driver anew who is there."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._workers: list[Worker] = []
        self._introduced = True

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """Its."""
        return self._pool.device

    @property
    def settled(self) -> bool:
        """All workers join at once."""
        return True

    @property
    def ordered(self) -> int:
        """Those that are there."""
        return len(self._workers)

    def start(self) -> None:
        """Begin to start workers."""
        self._pool.start()

    def gather(self, count: int) -> None:
        """Wait until so many workers have joined.

        Raises:
            CannotRunError: they did not within `START_SECONDS`.
        """
        deadline = time.monotonic() + START_SECONDS
        while len(self._workers) < count:
            self._know(self._pool.poll(1.0))
            if time.monotonic() > deadline:
                raise CannotRunError(
                    f"{len(self._workers)} of {count} workers were up after {START_SECONDS:.0f} s; take fewer slots"
                )

    def poll(self, timeout: float) -> Sequence[PoolEvent]:
        """What has happened; to a new driver first that all workers have joined."""
        if not self._introduced:
            self._introduced = True
            return [WorkerJoined(worker) for worker in self._workers]
        events = self._pool.poll(timeout)
        self._know(events)
        return events

    def introduce(self) -> None:
        """A new driver comes; its first poll tells it who is there."""
        self._introduced = False

    def submit(self, worker: Worker, ticket: Ticket, task: Task) -> None:
        """Pass it on."""
        self._pool.submit(worker, ticket, task)

    def stop(self, worker: Worker, kind: FailureKind, message: str) -> None:
        """Pass it on."""
        self._pool.stop(worker, kind, message)

    def dismiss(self, worker: Worker) -> None:
        """Pass it on."""
        self._pool.dismiss(worker)

    def exclude(self, node: str) -> None:
        """Pass it on."""
        self._pool.exclude(node)

    def close(self) -> None:
        """Close it."""
        self._pool.close()

    def _know(self, events: Sequence[PoolEvent]) -> None:
        for event in events:
            if isinstance(event, WorkerJoined):
                self._workers.append(event.worker)
            elif isinstance(event, WorkerLeft) and event.worker in self._workers:
                self._workers.remove(event.worker)


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
