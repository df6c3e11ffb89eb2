"""What passes between the search and its workers: requests out, outcomes back.

An *evaluation* trains one network once and measures it on the validation images. The request is about a
kilobyte; images never travel with it (`data_key` names the arrays a worker already holds). `Evaluator` is
the seam: the real one lives in `training/`, doubles in `testing/`.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from evosearch.errors import ConfigError
from evosearch.genome import Chromosome

Optimizer = Literal["adam", "sgd", "adadelta", "rmsprop"]
Images: TypeAlias = npt.NDArray[np.uint8]
"""Images (count, channels, height, width), uint8, 0 to 255."""
Labels: TypeAlias = npt.NDArray[np.int64]
"""Class numbers (count,), int64, from 0."""


MOST_THREADS = 256
"""Of one worker; starting many more takes minutes."""


class FailureKind(StrEnum):
    """Why an evaluation has no fitness; the kind decides what happens next (DESIGN, decision 4)."""

    INFEASIBLE = "infeasible"
    """Judged by the blueprint before dispatch."""
    OUT_OF_MEMORY = "out_of_memory"
    """The device or the host had no memory left."""
    DIVERGED = "diverged"
    """The loss became NaN or infinite."""
    TIMED_OUT = "timed_out"
    """A configured time limit passed."""
    WORKER_LOST = "worker_lost"
    """The worker's node or network went away; never held against the chromosome."""
    CRASHED = "crashed"
    """The worker's own process died while its node lived."""
    ERROR = "error"
    """A bug or bad data."""


OUT_OF_MEMORY_TEXTS = (
    "can't allocate memory",
    "CUDA out of memory",
    "CUDA error: out of memory",
    "_STATUS_ALLOC_FAILED",
    "_ALLOCATION_FAILED",
)
"""The CPU's allocator, older CUDA allocators, the driver, cuBLAS and cuDNN raise a plain RuntimeError."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that a device or a host had no memory left; torch and Ray are known by name."""
    if isinstance(error, MemoryError) or "OutOfMemoryError" in (
        base.__name__ for base in type(error).__mro__
    ):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY_TEXTS)


@dataclass(frozen=True)
class TrainingSettings:
    """How every candidate is trained. Each field is a key under `training`; defaults are the paper's."""

    epochs: int = 100
    """Passes over the training images."""
    batch_size: int = 16
    """Images per step."""
    learning_rate: float = 1e-4
    """Step size of the optimizer."""
    optimizer: Optimizer = "adam"
    """adam, sgd, adadelta or rmsprop; everything but the learning rate and weight decay as PyTorch sets it."""
    weight_decay: float = 1e-8
    """L2 penalty (from the authors' released code)."""
    dropout: float = 0.5
    """Rate after each hidden dense layer (from the authors' released code)."""
    normalize: Literal["unit", "standard"] = "unit"
    """unit: pixels / 255. standard: then minus the mean and by the deviation of each training channel."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: forward and loss under autocast, weights and optimizer in fp32."""
    deterministic: bool = True
    """Only kernels that give the same bits each time."""
    threads: int = 1
    """Torch threads per worker."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"training.{name} is {getattr(self, name)}; it must be at least 1")
        if self.threads > MOST_THREADS:
            raise ConfigError(f"training.threads is {self.threads}; it must be at most {MOST_THREADS}")
        if self.batch_size < 2:  # batch norm has no variance over one image at 1x1
            raise ConfigError("training.batch_size is 1; batch norm needs at least 2 images")
        if not 0 < self.learning_rate < float("inf"):
            raise ConfigError(
                f"training.learning_rate is {self.learning_rate}; it must be above 0 and finite"
            )
        if not 0 <= self.weight_decay < float("inf"):
            raise ConfigError(
                f"training.weight_decay is {self.weight_decay}; it must be 0 or above, and finite"
            )
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"training.dropout is {self.dropout}; a rate lies between 0 and 1, 1 excluded")


@dataclass(frozen=True)
class FinalSettings:
    """How the best network is trained anew after the search. Each field is a key under `final`."""

    epochs: int = 1000
    """Passes over the training images, in place of `training.epochs`; the paper's number."""

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ConfigError(f"final.epochs is {self.epochs}; it must be at least 1")


@dataclass(frozen=True)
class EvaluationRequest:
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
class PredictionRequest:
    """Classify `images` with the network whose weights lie at `weights`; sent after its training has ended."""

    network: Chromosome
    settings: TrainingSettings
    data_key: str
    weights: str
    images: Images


@dataclass(frozen=True)
class EpochRecord:
    """One pass over the training images: mean training loss, and validation accuracy after it (0 to 1)."""

    loss: float
    accuracy: float


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


class Progress(Protocol):
    """Told by an evaluator how it gets on; a worker that tells nothing for long is taken for hung."""

    def step(self) -> None:
        """A batch is done. Costs next to nothing and may be called from the innermost loop."""
        ...

    def epoch(self) -> None:
        """A pass over the training images is done, and another one follows.

        Raises:
            TimedOutError: the evaluation has passed its soft time limit.
        """
        ...


class Unwatched:
    """A `Progress` that nobody looks at."""

    def step(self) -> None:
        """Nothing."""

    def epoch(self) -> None:
        """Nothing."""


UNWATCHED = Unwatched()


class Evaluator(Protocol):
    """What a worker runs. Created once per worker process, with the data; then asked again and again."""

    def evaluate(self, request: EvaluationRequest, progress: Progress = UNWATCHED) -> Outcome:
        """Train and validate one network. Equal requests give equal fitness on every worker.

        Failures of the candidate come back as `Failure`; a `TimedOutError` of `progress` passes through, and any
        other exception is a bug or a dying process.
        """
        ...

    def predict(self, request: PredictionRequest) -> Prediction:
        """Classify images with saved weights."""
        ...


def evaluation_seed(search_seed: int, content_key: str, repeat: int = 0) -> int:
    """Seed of an evaluation, 0 to 2^63 - 1: the same chromosome gets the same one wherever it turns up.

    `repeat`: 0 during the search, 1 for the retraining of its best.
    """
    digest = hashlib.sha256(f"{search_seed}/{content_key}/{repeat}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
