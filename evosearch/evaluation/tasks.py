"""What a worker is asked for, and what comes back."""

import hashlib
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from evosearch.evaluation.failures import FailureKind
from evosearch.evaluation.progress import UNWATCHED, EpochRecord, Progress
from evosearch.evaluation.settings import TrainingSettings
from evosearch.genome import Chromosome

Images: TypeAlias = npt.NDArray[np.uint8]
"""Images (count, channels, height, width), uint8, 0 to 255."""
Labels: TypeAlias = npt.NDArray[np.int64]
"""Class numbers (count,), int64, from 0."""


@dataclass(frozen=True)
class TrainingTask:
    """Train `network` with `settings` on the data named by `data_key`, from `seed`.

    `weights`: where to leave the trained weights as safetensors, a path on the worker's machine or a URL of an
    artifact store; None during a search, which keeps no weights.
    """

    network: Chromosome
    settings: TrainingSettings
    data_key: str
    seed: int
    weights: str | None = None


@dataclass(frozen=True)
class PredictionTask:
    """Classify `images` with the network whose weights lie at `weights`; sent after its training has ended."""

    network: Chromosome
    settings: TrainingSettings
    data_key: str
    weights: str
    images: Images


@dataclass(frozen=True)
class Success:
    """A finished training. `fitness`: validation accuracy after the last epoch, 0 to 1. `seconds`: wall time
    on the worker. `curve`: one record per epoch.
    """

    fitness: float
    seconds: float
    curve: tuple[EpochRecord, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.fitness <= 1:  # NaN fails this too: nothing non-finite is ever a fitness
            raise ValueError(f"a fitness lies between 0 and 1, found {self.fitness}")


@dataclass(frozen=True)
class Failure:
    """An evaluation without a fitness. `message`: one line for a person. `seconds`: wall time until then.

    `node_lost`: the worker's whole node is gone, be it preempted, cut off or dead: nobody's fault, and held against
    nothing. Journals of the first version do not tell the two kinds of loss apart, and count all.
    """

    kind: FailureKind
    message: str
    seconds: float = 0.0
    curve: tuple[EpochRecord, ...] = ()
    node_lost: bool = False


Outcome: TypeAlias = Success | Failure


@dataclass(frozen=True)
class Prediction:
    """Class probabilities (images, classes), float32, each row summing to 1."""

    probabilities: npt.NDArray[np.float32]


class Evaluator(Protocol):
    """What a worker runs. Created once per worker process, with the data; then asked again and again."""

    def evaluate(self, task: TrainingTask, progress: Progress = UNWATCHED) -> Outcome:
        """Train and validate one network. Equal tasks give equal fitness on every worker.

        Failures of the candidate come back as `Failure`; a `TimedOutError` of `progress` passes through, and any
        other exception is a bug or a dying process.
        """
        ...

    def predict(self, task: PredictionTask) -> Prediction:
        """Classify images with saved weights."""
        ...


def evaluation_seed(search_seed: int, content_key: str, repeat: int = 0) -> int:
    """Seed of an evaluation, 0 to 2^63 - 1: the same chromosome gets the same one wherever it turns up.

    `repeat`: 0 during the search, 1 for the retraining of its best.
    """
    digest = hashlib.sha256(f"{search_seed}/{content_key}/{repeat}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
