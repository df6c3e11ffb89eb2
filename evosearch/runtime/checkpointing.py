"""Which trainings leave checkpoints, where, and how much room that takes."""

import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import assert_never

from evosearch.blueprint import Memory
from evosearch.errors import CannotRunError
from evosearch.evaluation import Checkpoint, MasksTask, TrainingTask, TrialTask, trial_key
from evosearch.storage import ArtifactStore

TENTHS = 10
"""Of a given list, each training leaves so many over its epochs at least."""

FILES = 3
"""Of each running training: the two newest, and the one that is being written."""

_KEY = re.compile("[0-9a-f]{32}")
"""What `trial_key` gives, and a training's folder is called."""


@dataclass(frozen=True)
class Checkpointing:
    """How the trainings of one search are kept while they run.

    `place`: a folder, or the URL of an artifact store. `minutes`: as `WorkerSettings.checkpoint_minutes`. `listed`: whether
    the search is a list of given trainings.
    """

    place: str
    minutes: float | None
    listed: bool = False

    @property
    def leaves_any(self) -> bool:
        """Whether any training does."""
        return self.minutes is not None or self.listed

    def apply(self, task: TrialTask, attempt: int) -> TrialTask:
        """`task`, its attempt `attempt` from 1, with the checkpoints that it shall leave."""
        match task:
            case TrainingTask() if self.leaves_any:
                epochs = ceil(task.last_epoch / TENTHS) if self.listed else None
                kept = Checkpoint(self.place, _key(task), epochs, self.minutes, attempt > 1)
                return replace(task, checkpoint=kept)
            case TrainingTask() | MasksTask():
                return task
        assert_never(task)

    def clear(self) -> None:
        """Remove what trainings have left, now that their search has ended; as far as it can be reached from here."""
        if not self.leaves_any:
            return
        if "://" not in self.place:
            for folder in Path(self.place).glob("*"):
                if _KEY.fullmatch(folder.name):
                    shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # an older version began searches of that name
                Path(self.place).rmdir()
            return
        store = ArtifactStore(self.place)
        with suppress(CannotRunError):
            for name in store.list():
                if _KEY.fullmatch(name.partition("/")[0]):
                    store.remove(name)


def _key(task: TrainingTask) -> str:
    return trial_key(task.network, task.settings, task.seed, task.data_key, task.last_epoch)


def checkpoint_room(trainings: Iterable[Memory], slots: int) -> int:
    """Bytes that the checkpoints of so many trainings at once may take; `trainings`: what each that is known holds."""
    sizes = sorted((memory.parameters + memory.optimizer for memory in trainings), reverse=True)
    return FILES * sum(sizes[:slots])
