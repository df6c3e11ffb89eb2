"""States of a running training as files, so that whoever trains it next need not begin again.

A file gets its name when it is complete, and says whose it is and by a digest whether it is whole; so any file that is
found and read may be continued, whichever attempt left it. Nothing here ends a training: what cannot be kept or found
is trained again.
"""

import hashlib
import json
import logging
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from evosearch.errors import CannotRunError, EvaluationError
from evosearch.evaluation import Checkpoint, EpochRecord, TrainingTask, is_out_of_memory
from evosearch.genome import is_hand_made
from evosearch.permissions import UNFINISHED, whole_file
from evosearch.training.batches import ResidentData
from evosearch.training.fit import Fit, FitState
from evosearch.training.step import Eager, Stepper

LOG = logging.getLogger(__name__)

FORMAT = 1
KEPT = 2
"""Of a training: its newest one, and the one before it in case that the newest is damaged."""

_NAME = re.compile(r"epoch-(\d+)\.safetensors")
_METADATA = "evosearch"


class Checkpoints:
    """Those of one training. `rule`: where and how often. `training`: its fingerprint. `clock`: seconds."""

    def __init__(self, rule: Checkpoint, training: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._rule = rule
        self._training = training
        self._clock = clock
        self._kept = clock()
        self._troubled = False
        self._any = False

    @classmethod
    def of(
        cls, task: TrainingTask, device: str, clock: Callable[[], float] = time.monotonic
    ) -> "Checkpoints | None":
        """Those of `task` on a device of this type, "cpu" or "cuda"; None where it is to leave none."""
        return cls(task.checkpoint, fingerprint(task, device), clock) if task.checkpoint else None

    def resume(
        self, task: TrainingTask, data: ResidentData, make_stepper: Callable[..., Stepper] = Eager
    ) -> Fit | None:
        """The training where its newest sound checkpoint left it; None if there is none for this end. `make_stepper`: as in `Fit`.

        Raises:
            RuntimeError: of an allocator.
        """
        for name in self._names()[::-1] if self._rule.begun else ():
            self._any = True
            try:
                with self._folder.file(name) as path:
                    state = read_state(path, self._training)
                if len(state.curve) <= task.last_epoch:
                    return Fit.restore(task, data, state, make_stepper)
            except (OSError, CannotRunError, EvaluationError, KeyError, ValueError, RuntimeError) as error:
                if is_out_of_memory(error):
                    raise
                LOG.warning("%s is not continued: %s", name, " ".join(str(error).split()))
        return None

    def is_due(self, epoch: int) -> bool:
        """Whether the state after `epoch` epochs is to be kept."""
        epochs, minutes = self._rule.every_epochs, self._rule.every_minutes
        by_epochs = epochs is not None and epoch % epochs == 0
        return by_epochs or (minutes is not None and self._clock() - self._kept >= 60 * minutes)

    def keep(self, fit: Fit, seconds: float) -> None:
        """Publish the state of `fit`, `seconds` after its beginning, and remove all but the newest.

        Where it cannot be kept the training goes on without.
        """
        self._any = True
        try:
            state = fit.state(seconds)
            with self._folder.new(f"epoch-{len(state.curve):06}.safetensors") as path:
                write_state(path, state, self._training)
            for name in self._names()[:-KEPT]:
                self._folder.remove(name)
        except (OSError, MemoryError, RuntimeError, SafetensorError, CannotRunError) as error:
            if isinstance(error, RuntimeError) and not is_out_of_memory(error):
                raise
            if not self._troubled:
                LOG.warning("no checkpoint could be kept: %s", " ".join(str(error).split()))
            self._troubled = True
        self._kept = self._clock()

    def remove(self) -> None:
        """Remove all of them; the training has ended."""
        try:
            if self._any:
                self._folder.clear()
        except (OSError, CannotRunError) as error:
            LOG.warning("the checkpoints of a finished training stay: %s", " ".join(str(error).split()))

    @cached_property
    def _folder(self) -> "_Folder | _Store":
        if "://" in self._rule.place:
            return _Store(f"{self._rule.place}/{self._rule.key}")
        return _Folder(Path(self._rule.place, self._rule.key))

    def _names(self) -> list[str]:
        """Oldest first."""
        try:
            return sorted(name for name in self._folder.names() if _NAME.fullmatch(name))
        except (OSError, CannotRunError) as error:
            LOG.warning("no checkpoint is found: %s", " ".join(str(error).split()))
            return []


def fingerprint(task: TrainingTask, device: str) -> str:
    """Equal for tasks that go through the same states, 64 hexadecimal digits; where they end does not matter.

    `device`: its type, "cpu" or "cuda".
    """
    what = [str(task.network), task.settings.identity(), task.data_key, task.seed, device]
    if is_hand_made(task.network) and task.hand_made != "torchvision":  # as of the first versions' lists
        what.append(task.hand_made)
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def write_state(path: Path, state: FitState, training: str) -> None:
    """Write `state` to `path` as safetensors, with the fingerprint of its training."""
    document = {
        "format": FORMAT,
        "training": training,
        "digest": _digest(state.tensors),
        "curve": [_told(record) for record in state.curve],
        "batch": state.batch,
        "seconds": state.seconds,
    }
    save_file(dict(state.tensors), path, {_METADATA: json.dumps(document)})


def read_state(path: Path, training: str) -> FitState:
    """The state at `path`.

    Raises:
        EvaluationError: it is no whole checkpoint, or one of another training.
        OSError: it cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            document = json.loads((file.metadata() or {})[_METADATA])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, KeyError, ValueError) as error:
        raise EvaluationError(f"'{path}' is no checkpoint ({error})") from error
    return _checked(path, document, tensors, training)


def _checked(path: Path, document: Mapping[str, Any], tensors: dict[str, Tensor], training: str) -> FitState:
    if document.get("format") != FORMAT:
        raise EvaluationError(f"'{path}' is a checkpoint of format {document.get('format')}, not {FORMAT}")
    if document["training"] != training:
        raise EvaluationError(f"'{path}' is a checkpoint of another training")
    if document["digest"] != _digest(tensors):
        raise EvaluationError(f"'{path}' is damaged")
    curve = tuple(EpochRecord(*figures) for figures in document["curve"])
    return FitState(tensors, curve, document["batch"], document["seconds"])


def _told(record: EpochRecord) -> list[float | None]:
    figures = [record.loss, record.accuracy, record.validation_loss]
    return figures if record.validation_loss is not None else figures[:2]


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


class _Folder:
    """A training's checkpoints in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._path = folder

    def names(self) -> list[str]:
        return [path.name for path in self._path.iterdir()] if self._path.is_dir() else []

    @contextmanager
    def file(self, name: str) -> Iterator[Path]:
        yield self._path / name

    @contextmanager
    def new(self, name: str) -> Iterator[Path]:
        """A path to write to; it becomes `name` when that is done."""
        for left in self._path.glob(f".*{UNFINISHED}"):  # by one that was killed on the way
            left.unlink(missing_ok=True)
        with whole_file(self._path / name) as unfinished:
            yield unfinished

    def remove(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)

    def clear(self) -> None:
        if self._path.is_dir():
            shutil.rmtree(self._path)


class _Store:
    """A training's checkpoints in an artifact store."""

    def __init__(self, url: str) -> None:
        from evosearch.storage import ArtifactStore  # noqa: PLC0415 - with SQLAlchemy; most places are on a disk

        self._store: ArtifactStore = ArtifactStore(url)

    def names(self) -> list[str]:
        return list(self._store.list())

    @contextmanager
    def file(self, name: str) -> Iterator[Path]:
        with TemporaryDirectory(prefix="evosearch-checkpoint-") as folder:
            self._store.get(name, Path(folder, name))
            yield Path(folder, name)

    @contextmanager
    def new(self, name: str) -> Iterator[Path]:
        with TemporaryDirectory(prefix="evosearch-checkpoint-") as folder:
            yield Path(folder, name)
            self._store.put(Path(folder, name), name)

    def remove(self, name: str) -> None:
        self._store.remove(name)

    def clear(self) -> None:
        for name in self.names():
            self._store.remove(name)
