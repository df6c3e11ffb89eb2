"""Which training each worker's curve is of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from evosearch.evaluation import MasksTask, PredictionTask, Task, TrainingTask, TrialId
from evosearch.runtime.pool import PoolEvent, Worker, WorkerProgressed, freed
from evosearch.storage import LiveCurve


@dataclass(frozen=True)
class LiveTrainings:
    """What trains where, and how many of its epochs have been told. `by_worker`: with the search's name."""

    by_worker: Mapping[Worker, tuple[str, LiveCurve]] = field(default_factory=dict)

    def began(self, worker: Worker, search: str, trial: TrialId, task: Task) -> "LiveTrainings":
        """The worker was given a task."""
        kept = {other: one for other, one in self.by_worker.items() if other != worker}
        match task:
            case TrainingTask():
                kept[worker] = search, LiveCurve(trial, task.last_epoch, ())
            case MasksTask() | PredictionTask():
                pass
        return LiveTrainings(kept)

    def heard(
        self, events: Sequence[PoolEvent]
    ) -> tuple["LiveTrainings", Mapping[str, tuple[LiveCurve, ...]]]:
        """What `events` of one moment tell of trainings that have not ended with them, by search."""
        ended = {freed(event) for event in events}
        kept = {worker: one for worker, one in self.by_worker.items() if worker not in ended}
        told: dict[str, tuple[LiveCurve, ...]] = {}
        for event in events:
            if isinstance(event, WorkerProgressed) and event.curve and event.worker in kept:
                search, before = kept[event.worker]
                curve = replace(before, curve=event.curve, known=len(before.curve))
                kept[event.worker] = search, curve
                told[search] = (*told.get(search, ()), curve)
        return LiveTrainings(kept), told
