"""A pool inside this process, without time: it does what its script says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evosearch.evaluation import Evaluator, Failure, FailureKind, Outcome, Prediction, PredictionRequest
from evosearch.runtime.pool import PoolEvent, Task, TaskDone, Ticket, Worker, WorkerJoined, WorkerLeft


@dataclass(frozen=True)
class Script:
    """What happens in a `ScriptedPool`.

    `workers`: how many there are at any time. `losses`: the attempts, as (candidate number, attempt), that lose their
    worker, and how. `shuffle`: seed of the order in which tasks end; None: the order of submission.
    """

    workers: int = 1
    losses: Mapping[tuple[int, int], FailureKind] | None = None
    shuffle: int | None = None


class ScriptedPool:
    """A `WorkerPool` whose tasks run within `poll`, one per call, so that a test sees every step.

    `SystemExit` in a task stands for a crash of its worker. `submitted` lists what was handed out, in order.
    """

    def __init__(self, evaluator: Evaluator, script: Script | None = None) -> None:
        self.submitted: list[Ticket] = []
        self._evaluator = evaluator
        self._script = script or Script()
        self._losses = self._script.losses or {}
        self._rng = np.random.default_rng(self._script.shuffle)
        self._born = 0
        self._news: list[PoolEvent] = []
        self._alive: set[Worker] = set()
        self._running: dict[Worker, tuple[Ticket, Task]] = {}

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """Always the CPU."""
        return "cpu"

    def start(self) -> None:
        """All workers join at the first poll."""
        for _ in range(self._script.workers):
            self._join()

    def submit(self, worker: Worker, ticket: Ticket, task: Task) -> None:
        """Keep the task for a later poll."""
        assert worker not in self._running, f"{worker.name} has a task already"
        if worker in self._alive:
            self.submitted.append(ticket)
            self._running[worker] = (ticket, task)

    def poll(self, timeout: float) -> Sequence[PoolEvent]:  # noqa: ARG002 - the protocol's name
        """Who joined, or else the end of one task; never waits."""
        if self._running and not self._news:
            workers = list(self._running)
            self._end(workers[0 if self._script.shuffle is None else self._rng.integers(len(workers))])
        news, self._news = self._news, []
        return news

    def close(self) -> None:
        """Forget all workers and tasks."""
        self._alive.clear()
        self._running.clear()
        self._news.clear()

    def _join(self) -> None:
        self._born += 1
        worker = Worker(f"scripted-{self._born}", "scripted/cpu")
        self._alive.add(worker)
        self._news.append(WorkerJoined(worker))

    def _end(self, worker: Worker) -> None:
        ticket, task = self._running.pop(worker)
        if loss := self._losses.get((ticket.number, ticket.attempt)):
            return self._lose(worker, loss)
        try:
            result = self._run(task)
        except SystemExit as error:
            return self._lose(worker, FailureKind.CRASHED, f"ended with exit status {error.code}")
        self._news.append(TaskDone(worker, ticket, result))
        return None

    def _run(self, task: Task) -> Outcome | Prediction:
        try:
            if isinstance(task, PredictionRequest):
                return self._evaluator.predict(task)
            return self._evaluator.evaluate(task)
        except Exception as error:
            return Failure(FailureKind.ERROR, f"{type(error).__name__}: {error}")

    def _lose(self, worker: Worker, kind: FailureKind, message: str = "lost by the script") -> None:
        self._alive.remove(worker)
        self._news.append(WorkerLeft(worker, kind, message))
        self._join()
