"""A pool inside this process, without time: it does what its script says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal

import numpy as np

from evosearch.evaluation import Evaluator, Failure, FailureKind, Precision, Result, Task, Unwatched
from evosearch.runtime.pool import Notices, PoolEvent, TaskDone, Ticket, Worker, WorkerJoined, WorkerLeft


@dataclass(frozen=True)
class Script:
    """What happens in a `ScriptedPool`.

    `workers`: how many there are at any time. `losses`: the attempts, as (candidate number, attempt), that lose their
    worker, and how. `shuffle`: seed of the order in which tasks end; None: the order of submission. `hangs`: the
    attempts that never end. `nodes`: how many the workers are spread over, in turn: "scripted", or where there are
    several "scripted-0", "scripted-1". `recycle_after`: a worker leaves with so many tasks; None: never. `outages`: the
    attempts that lose their whole node, which is back at once. `processors`: kinds that joining workers compute on, in turn;
    `precisions`: what each of these has instructions for, in turn.
    """

    workers: int = 1
    losses: Mapping[tuple[int, int], FailureKind] | None = None
    shuffle: int | None = None
    hangs: frozenset[tuple[int, int]] = frozenset()
    nodes: int = 1
    recycle_after: int | None = None
    outages: frozenset[tuple[int, int]] = frozenset()
    processors: tuple[str, ...] = ("",)
    precisions: tuple[tuple[Precision, ...] | None, ...] = (None,)


class _Wear(Unwatched):
    """A `Progress` that keeps `why` its process is to be replaced; empty: it need not."""

    why = ""

    def worn(self, why: str) -> None:
        """Keep it; of several the first."""
        self.why = self.why or why


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
        self._serials = count(1)
        self._news: list[PoolEvent] = []
        self._alive: dict[Worker, int] = {}
        """With the number of tasks that each has ended."""
        self._running: dict[Worker, tuple[Ticket, Task]] = {}
        self._excluded: set[str] = set()
        self._notices = Notices()

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """Always the CPU."""
        return "cpu"

    @property
    def alive(self) -> Sequence[Worker]:
        """The workers that are there."""
        return tuple(self._alive)

    @property
    def settled(self) -> bool:
        """All join at once."""
        return True

    @property
    def ordered(self) -> int:
        """All that there are at any time."""
        return self._script.workers

    def start(self) -> None:
        """All workers join at the first poll."""
        nodes = self._script.nodes
        for index in range(self._script.workers):
            self._join("scripted/cpu" if nodes == 1 else f"scripted-{index % nodes}/cpu")

    def submit(self, worker: Worker, ticket: Ticket, task: Task) -> None:
        """Keep the task for a later poll."""
        assert worker not in self._running, f"{worker.name} has a task already"
        if worker in self._alive:
            self.submitted.append(ticket)
            self._running[worker] = (ticket, task)

    def poll(self, timeout: float) -> Sequence[PoolEvent]:  # noqa: ARG002 - the protocol's name
        """Who joined, or else the end of one task; never waits."""
        ending = [worker for worker, (ticket, _) in self._running.items() if not self._hangs(ticket)]
        if ending and not self._news:
            self._end(ending[0 if self._script.shuffle is None else self._rng.integers(len(ending))])
        news, self._news = self._news, []
        return news

    def stop(self, worker: Worker, kind: FailureKind, message: str) -> None:
        """The worker has left at the next poll."""
        if worker in self._alive:
            self._running.pop(worker, None)
            self._lose(worker, kind, f"{message}; it was at a place of the script")

    def dismiss(self, worker: Worker) -> None:
        """Forget it."""
        assert worker not in self._running, f"{worker.name} has a task"
        self._alive.pop(worker, None)

    def exclude(self, node: str) -> None:
        """Forget the node's idle workers."""
        self._excluded.add(node)
        self._news = [
            one for one in self._news if not (isinstance(one, WorkerJoined) and one.worker.node == node)
        ]
        for worker in list(self._alive):
            if worker.node == node and worker not in self._running:
                self._replace(worker)

    def close(self) -> None:
        """Forget all workers and tasks."""
        self._alive.clear()
        self._running.clear()
        self._news.clear()

    def _hangs(self, ticket: Ticket) -> bool:
        return (ticket.number, ticket.attempt) in self._script.hangs

    def _join(self, device: str) -> None:
        serial, kinds, able = next(self._serials), self._script.processors, self._script.precisions
        kind, precisions = kinds[(serial - 1) % len(kinds)], able[(serial - 1) % len(able)]
        worker = Worker(f"scripted-{serial}", device, processor=kind, precisions=precisions)
        self._alive[worker] = 0
        self._news.append(WorkerJoined(worker))

    def _replace(self, worker: Worker) -> None:
        del self._alive[worker]
        if worker.node not in self._excluded:
            self._join(worker.device)

    def _end(self, worker: Worker) -> None:
        ticket, task = self._running.pop(worker)
        if (ticket.number, ticket.attempt) in self._script.outages:
            return self._lose_node(worker.node)
        if loss := self._losses.get((ticket.number, ticket.attempt)):
            return self._lose(worker, loss)
        wear = _Wear()
        try:
            result = self._run(task, wear)
        except SystemExit as error:
            return self._lose(worker, FailureKind.CRASHED, f"ended with exit status {error.code}")
        self._alive[worker] += 1
        leaves = f"recycled: {wear.why}" if wear.why else self._leaves(worker)
        self._news += [TaskDone(worker, ticket, result, leaves), *self._notices.of(worker, wear.why)]
        if leaves:
            self._replace(worker)
        return None

    def _leaves(self, worker: Worker) -> str:
        if worker.node in self._excluded:
            return "its node is closed to new work"
        ended = self._alive[worker]
        return f"recycled after {ended} evaluations" if ended == self._script.recycle_after else ""

    def _run(self, task: Task, wear: _Wear) -> Result:
        try:
            return self._evaluator.handle(task, wear)
        except Exception as error:
            return Failure(FailureKind.ERROR, f"{type(error).__name__}: {error}")

    def _lose_node(self, node: str) -> None:
        lost = [worker for worker in self._alive if worker.node == node]
        for worker in lost:
            self._running.pop(worker, None)
            self._news.append(WorkerLeft(worker, FailureKind.WORKER_LOST, "its node is gone", node_lost=True))
        for worker in lost:
            self._replace(worker)

    def _lose(self, worker: Worker, kind: FailureKind, message: str = "lost by the script") -> None:
        self._news.append(WorkerLeft(worker, kind, message))
        self._replace(worker)
