"""How many workers there are, where they run, what each of them is made from, and which trainings leave checkpoints."""

import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Literal, TypeAlias, assert_never

from evosearch.blueprint import Memory
from evosearch.data import SearchData
from evosearch.errors import CannotRunError, ConfigError
from evosearch.evaluation import (
    Checkpoint,
    Evaluator,
    FeaturesTask,
    MasksTask,
    TrainingTask,
    TrialTask,
    trial_key,
)
from evosearch.storage import ArtifactStore

EvaluatorFactory: TypeAlias = Callable[[SearchData, str], Evaluator]
"""Called once in each worker process with the data and a torch device name, "cpu" or "cuda:0"; it is sent there,
so it must be picklable."""

MOST_WORKERS = 100_000
"""More than any cluster runs."""

MOST_PER_GPU = 64
"""Workers that may share a GPU; each holds a context of its own of some hundred megabytes there."""

MOST = 1_000_000_000
"""Of evaluations, MiB, seconds or minutes: more than anybody waits for or has."""

LEAST_STALL = 5.0
"""Seconds; with less, a worker would be killed between two words of its progress."""


@dataclass(frozen=True)
class WorkerSettings:
    """Where candidates are trained. Each field is a key under `workers`; none can change a result."""

    count: int | None = None
    """Most workers, at least 1. None: as many as the GPUs hold; without a GPU one per core divided by training.threads."""
    per_gpu: int | Literal["auto"] = 1
    """Workers that share one GPU; several pay where the networks are small. auto: the least of what its memory holds, what its
    cores let run, and what was measured to be best on GPUs of its model, or else 4 for images below 96 pixels and 1 for others."""
    address: str | None = None
    """Address of the Ray cluster. None: RAY_ADDRESS where it is set, else a private cluster on this machine."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: GPUs where there are any, else the CPU."""
    stall_seconds: float = 600.0
    """A worker whose training makes no step for so long hangs: it is killed, and the evaluation runs elsewhere."""
    soft_seconds: float | None = None
    """A training that has taken so long ends with its epoch, as timed_out. None: no limit."""
    hard_seconds: float | None = None
    """A training that has taken so long is killed, as timed_out. None: no limit."""
    recycle_after: int | None = 200
    """A worker is replaced after so many evaluations. None: never."""
    recycle_growth: int | None = 2048
    """A worker is replaced when it holds so many MiB more, on host or device, than after its first evaluation. None: never."""
    checkpoint_minutes: float | None = field(default=10.0, metadata={"absent": None})
    """A training leaves a checkpoint at the end of the first epoch after so long, from which it goes on wherever it is
    trained next. None: never, but for lists of given trainings, which leave one at each tenth of their epochs too."""
    mps: Literal["auto", "off"] = field(default="auto", metadata={"absent": "off"})
    """auto: workers that share a GPU use it side by side, through NVIDIA's MPS, where that can be started; else, and with off, they
    take turns."""

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise ConfigError(f"workers.count is {self.count}; it must be at least 1, or left out")
        for name in ("per_gpu", "recycle_after", "recycle_growth"):
            if isinstance(number := getattr(self, name), int) and number < 1:
                auto = ", or auto" if name == "per_gpu" else ""
                raise ConfigError(f"workers.{name} is {number}; it must be at least 1{auto}")
        for name in ("stall_seconds", "soft_seconds", "hard_seconds", "checkpoint_minutes"):
            limit = getattr(self, name)
            if limit is not None and not 0 < limit < float("inf"):
                raise ConfigError(f"workers.{name} is {limit}; it must be above 0 and finite")
        if self.stall_seconds < LEAST_STALL:
            raise ConfigError(
                f"workers.stall_seconds is {self.stall_seconds}; workers report their progress every second or two, "
                f"so it must be at least {LEAST_STALL:.0f}"
            )
        if self.soft_seconds and self.hard_seconds and self.soft_seconds > self.hard_seconds:
            raise ConfigError(
                f"workers.soft_seconds is {self.soft_seconds}, above workers.hard_seconds = {self.hard_seconds}; "
                "the soft limit comes first"
            )
        if self.address is not None and not self.address.strip():
            raise ConfigError(
                "workers.address is empty; give an address such as 10.0.0.1:6379, or leave it out"
            )

    def objections(self) -> Sequence[str]:
        """Why no search may be begun with these, one line each; one that was begun before goes on."""
        most = {"count": MOST_WORKERS, "per_gpu": MOST_PER_GPU, "recycle_after": MOST, "recycle_growth": MOST}
        most |= dict.fromkeys(("stall_seconds", "soft_seconds", "hard_seconds", "checkpoint_minutes"), MOST)
        return tuple(
            f"workers.{name} is {value}; it must be at most {limit:,}"
            for name, limit in most.items()
            if (value := getattr(self, name)) not in {None, "auto"} and value > limit
        )


TENTHS = 10
"""Of a given list, each training leaves so many over its epochs at least."""

FILES = 3
"""Of each running training: the two newest, and the one that is being written."""

_KEY = re.compile("[0-9a-f]{32}")
"""What `trial_key` gives, and a training's folder is called."""


@dataclass(frozen=True)
class Checkpointing:
    """How the trainings of one search are kept while they run."""

    place: str
    """A folder, or the URL of an artifact store."""
    minutes: float | None
    """As `WorkerSettings.checkpoint_minutes`."""
    listed: bool = False
    """Whether the search is a list of given trainings."""

    @property
    def leaves_any(self) -> bool:
        """Whether any training does."""
        return self.minutes is not None or self.listed

    def apply(self, task: TrialTask, attempt: int) -> TrialTask:
        """`task`, its attempt `attempt` from 1, with the checkpoints that it shall leave."""
        match task:
            case TrainingTask() if self.leaves_any:
                epochs = ceil(task.last_epoch / TENTHS) if self.listed else None
                begun = attempt > 1 or (task.rung is not None and task.rung.since > 0)
                kept = Checkpoint(self.place, _key(task), epochs, self.minutes, begun)
                return replace(task, checkpoint=kept)
            case TrainingTask() | FeaturesTask() | MasksTask():
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
    """All rungs of a training have one."""
    epochs = task.last_epoch if task.rung is None else task.settings.epochs
    return trial_key(task.network, task.settings, task.seed, task.data_key, epochs)


def checkpoint_room(trainings: Iterable[Memory], slots: int) -> int:
    """Bytes that the checkpoints of so many trainings at once may take; `trainings`: what each that is known holds."""
    sizes = sorted((memory.parameters + memory.optimizer for memory in trainings), reverse=True)
    return FILES * sum(sizes[:slots])
