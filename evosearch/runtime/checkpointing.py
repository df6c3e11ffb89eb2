"""Which trainings leave checkpoints, where, and how much room that takes."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from math import ceil

from evosearch.blueprint import Memory
from evosearch.evaluation import Checkpoint, TrainingTask

TENTHS = 10
"""Of a given list, each training leaves so many over its epochs at least."""

FILES = 3
"""Of each running training: the two newest, and the one that is being written."""


@dataclass(frozen=True)
class Checkpointing:
    """How the trainings of one search are kept while they run.

    `place`: a folder, or the URL of an artifact store. `minutes`: as `WorkerSettings.checkpoint_minutes`. `listed`: whether
    the search is a list of given trainings.
    """

    place: str
    minutes: float | None
    listed: bool = False

    def apply(self, task: TrainingTask, attempt: int) -> TrainingTask:
        """`task`, its attempt `attempt` from 1, with the checkpoints that it shall leave."""
        if self.minutes is None and not self.listed:
            return task
        epochs = ceil(task.last_epoch / TENTHS) if self.listed else None
        return replace(
            task, checkpoint=Checkpoint(self.place, training_key(task), epochs, self.minutes, attempt > 1)
        )


def training_key(task: TrainingTask) -> str:
    """Names a training among all of a search, 32 hexadecimal digits."""
    what = [task.network.key, asdict(task.settings), task.seed, task.data_key, task.last_epoch]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


def checkpoint_room(trainings: Iterable[Memory], slots: int) -> int:
    """Bytes that the checkpoints of so many trainings at once may take; `trainings`: what each that is known holds."""
    sizes = sorted((memory.parameters + memory.optimizer for memory in trainings), reverse=True)
    return FILES * sum(sizes[:slots])
