"""Watching over workers: what each trains, who has made no step for too long, and whose time is up. The clock is an argument."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from evosearch.evaluation import (
    FailureKind,
    FeaturesTask,
    MasksTask,
    PredictionTask,
    Task,
    TrainingTask,
    TrialId,
)
from evosearch.runtime.frozen import having, without
from evosearch.runtime.pool import (
    PoolChanged,
    PoolEvent,
    TaskDone,
    Worker,
    WorkerJoined,
    WorkerLeft,
    WorkerProgressed,
    freed,
)
from evosearch.storage import LiveCurve


@dataclass(frozen=True)
class LiveTrainings:
    """What trains where, and how many of its epochs have been reported."""

    by_worker: Mapping[Worker, tuple[str, LiveCurve]] = field(default_factory=dict)
    """The search's name and the newest curve."""

    def began(self, worker: Worker, search: str, trial: TrialId, task: Task) -> "LiveTrainings":
        """The worker was given a task."""
        match task:
            case TrainingTask():
                epochs = task.last_epoch
            case FeaturesTask():
                epochs = task.settings.epochs
            case MasksTask() | PredictionTask():
                return LiveTrainings(without(self.by_worker, worker))
        return LiveTrainings(having(self.by_worker, worker, (search, LiveCurve(trial, epochs, ()))))

    def heard(
        self, events: Sequence[PoolEvent]
    ) -> tuple["LiveTrainings", Mapping[str, tuple[LiveCurve, ...]]]:
        """What `events` of one moment report of trainings that have not ended with them, by search."""
        kept = without(self.by_worker, *(worker for event in events if (worker := freed(event))))
        told: dict[str, tuple[LiveCurve, ...]] = {}
        for event in events:
            if isinstance(event, WorkerProgressed) and event.curve and event.worker in kept:
                search, before = kept[event.worker]
                curve = replace(before, curve=event.curve, known=len(before.curve))
                kept = having(kept, event.worker, (search, curve))
                told[search] = (*told.get(search, ()), curve)
        return LiveTrainings(kept), told


PAUSE_SECONDS = 5.0
"""Where a driver itself stood still for longer, be it for a slow disk or a suspended machine, no worker is to blame."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long a worker may take, in seconds."""

    stall: float = 600.0
    """Without progress, until a worker counts as hanging."""
    hard: float | None = None
    """Of one evaluation; None: no limit."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """A worker to be stopped, and what for."""

    worker: Worker
    """Which one."""
    kind: FailureKind
    """In what way its evaluation failed."""
    message: str
    """Why, one line."""


@dataclass(frozen=True)
class StallDetector:
    """What is known of the progress of busy workers. Seconds of one clock."""

    begun: Mapping[Worker, float] = field(default_factory=dict)
    """Since when each busy worker has had its task, the first one first."""
    moved: Mapping[Worker, float] = field(default_factory=dict)
    """When each of them last made progress, the first one first."""
    heard: float | None = None
    """When somebody last listened to workers; None: not yet."""

    def began(self, worker: Worker, now: float) -> "StallDetector":
        """The worker was given a task."""
        return replace(self, begun=_last(self.begun, worker, now), moved=_last(self.moved, worker, now))

    def saw(self, event: PoolEvent, now: float) -> "StallDetector":
        """The pool reported `event`."""
        match event:
            case WorkerProgressed(worker):
                return replace(self, moved=_last(self.moved, worker, now)) if worker in self.begun else self
            case TaskDone(worker) | WorkerLeft(worker):
                return self.without(worker)
            case WorkerJoined() | PoolChanged():
                return self
        assert_never(event)

    def listened(self, now: float) -> "StallDetector":
        """Somebody listens to workers now; where nobody did for longer than `PAUSE_SECONDS`, no time has passed."""
        if self.heard is None or now - self.heard <= PAUSE_SECONDS:
            return replace(self, heard=now)
        gap = now - self.heard
        begun = {worker: at + gap for worker, at in self.begun.items()}
        return StallDetector(begun, {worker: at + gap for worker, at in self.moved.items()}, now)

    def without(self, worker: Worker) -> "StallDetector":
        """The worker is free, gone or given up."""
        return replace(self, begun=without(self.begun, worker), moved=without(self.moved, worker))

    def overdue(self, limits: TimeLimits, now: float) -> tuple[Overdue, ...]:
        """Who is to be stopped at `now`."""
        first, stillest = (next(iter(times.values()), now) for times in (self.begun, self.moved))
        if now - stillest <= limits.stall and (limits.hard is None or now - first <= limits.hard):
            return ()
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


def _last(times: Mapping[Worker, float], worker: Worker, now: float) -> Mapping[Worker, float]:
    """`times` with `now` for `worker`, at the end, so that they stay in order."""
    return having(without(times, worker), worker, now)
