"""Watching over workers: who has made no step for too long, and whose time is up. The clock is an argument.

Ray never notices a process that hangs (ray-project/ray#13407, RELIABILITY R8), so the driver does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from evosearch.evaluation import FailureKind
from evosearch.runtime.pool import PoolEvent, TaskDone, Worker, WorkerLeft, WorkerProgressed


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds. `stall`: without progress, then a worker hangs. `hard`: of one evaluation; None: no limit."""

    stall: float = 600.0
    hard: float | None = None


@dataclass(frozen=True, slots=True)
class Overdue:
    """A worker to be stopped, and what for."""

    worker: Worker
    kind: FailureKind
    message: str


@dataclass(frozen=True)
class Vigil:
    """Since when each busy worker has had its task, and when it last made progress; seconds of one clock."""

    begun: Mapping[Worker, float] = field(default_factory=dict)
    moved: Mapping[Worker, float] = field(default_factory=dict)

    def began(self, worker: Worker, now: float) -> "Vigil":
        """The worker was given a task."""
        return replace(self, begun={**self.begun, worker: now}, moved={**self.moved, worker: now})

    def saw(self, event: PoolEvent, now: float) -> "Vigil":
        """The pool told of `event`."""
        match event:
            case WorkerProgressed(worker) if worker in self.begun:
                return replace(self, moved={**self.moved, worker: now})
            case TaskDone(worker) | WorkerLeft(worker):
                return self.without(worker)
            case _:
                return self

    def later(self, seconds: float) -> "Vigil":
        """As if the last so many seconds had not been: nobody listened."""
        begun = {worker: at + seconds for worker, at in self.begun.items()}
        return Vigil(begun, {worker: at + seconds for worker, at in self.moved.items()})

    def without(self, worker: Worker) -> "Vigil":
        """The worker is free, gone or given up."""
        begun = {other: at for other, at in self.begun.items() if other != worker}
        return Vigil(begun, {other: at for other, at in self.moved.items() if other != worker})

    def overdue(self, limits: TimeLimits, now: float) -> tuple[Overdue, ...]:
        """Who is to be stopped at `now`."""
        late = []
        for worker, since in self.begun.items():
            if limits.hard is not None and now - since > limits.hard:
                text = f"took more than workers.hard_seconds = {limits.hard:g} and was killed"
                late.append(Overdue(worker, FailureKind.TIMED_OUT, text))
            elif now - self.moved[worker] > limits.stall:
                text = (
                    f"the worker made no progress for workers.stall_seconds = {limits.stall:g} and was killed"
                )
                late.append(Overdue(worker, FailureKind.WORKER_LOST, text))
        return tuple(late)
