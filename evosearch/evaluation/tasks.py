"""What a driver hands to a worker and what comes back: tasks, progress, results, and the kinds of failure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from evosearch.evaluation.settings import HandMadeRule, TrainingSettings
from evosearch.evaluation.trial import Masks
from evosearch.genome import Network


class FailureKind(StrEnum):
    """Why an evaluation has no fitness; the kind decides what happens next."""

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
class EpochRecord:
    """One pass over the training images."""

    loss: float
    """Mean over the training images."""
    accuracy: float | None
    """On the validation images after it, 0 to 1; None where they are trained on too."""
    validation_loss: float | None = None
    """Mean cross-entropy over the validation images after it, unweighted; None where nobody needs it, as in a search, which
    keeps no weights.
    """


def judged_epoch(curve: Sequence[EpochRecord], patience: int | None) -> int:
    """The place in `curve`, which holds an epoch at least, of the one by which a training is judged: the last one; where
    `patience` may end it early, the first one of the lowest validation loss.

    >>> judged_epoch([EpochRecord(0.3, 0.5, 0.7), EpochRecord(0.2, 0.8, 0.6), EpochRecord(0.1, 0.7, 0.6)], 2)
    1
    """
    last = len(curve) - 1
    if patience is None:
        return last
    losses = ((record.validation_loss, place) for place, record in enumerate(curve))
    known = ((loss, place) for loss, place in losses if loss is not None)
    return min(known, default=(0.0, last))[1]


class Progress(Protocol):
    """An evaluator reports here how it gets on; a worker that reports nothing for long is taken for hung."""

    def step(self) -> None:
        """A batch is done. Costs next to nothing and may be called from the innermost loop."""
        ...

    def epoch(self, record: EpochRecord) -> None:
        """A pass over the training images is done, and another one follows. Of a training that goes on from a
        checkpoint, all its passes are reported as it begins.

        Raises:
            TimedOutError: the evaluation has passed its soft time limit.
        """
        ...

    def worn(self, why: str) -> None:
        """The task goes on as it should, but the process is to be replaced when it has ended; `why`, one line, for a person."""
        ...


class Unwatched:
    """A `Progress` that nobody looks at."""

    def step(self) -> None:
        """Nothing."""

    def epoch(self, record: EpochRecord) -> None:
        """Nothing."""

    def worn(self, why: str) -> None:
        """Nothing."""


UNWATCHED = Unwatched()


Images: TypeAlias = npt.NDArray[np.uint8]
"""Images (count, channels, height, width), uint8, 0 to 255."""
Labels: TypeAlias = npt.NDArray[np.int64]
"""Class numbers (count,), int64, from 0."""


@dataclass(frozen=True)
class Checkpoint:
    """Where an unfinished training is kept, and how often: after so many epochs or minutes, whichever
    comes first.
    """

    place: str
    """A folder, or the URL of an artifact store."""
    key: str
    """Names the training among all that share the place; equal keys promise that one may be continued by
    the other.
    """
    every_epochs: int | None = None
    """Passes over the training images; None: not for that reason."""
    every_minutes: float | None = None
    """Of wall time, looked at between two epochs; None: not for that reason."""
    begun: bool = True
    """Whether an earlier attempt may have left one."""


@dataclass(frozen=True)
class Rung:
    """Which part of a training a trial is, where trainings wait for each other at certain epochs."""

    search: str
    """Whose training it is."""
    generation: int
    """The one that its candidate was born into."""
    since: int = 0
    """Epochs that an earlier trial of the same training came to; 0: there was none."""


@dataclass(frozen=True)
class TrainingTask:
    """Train one network."""

    network: Network
    """What is trained."""
    settings: TrainingSettings
    """How."""
    data_key: str
    """Names the data that it is trained on."""
    seed: int
    """All chance of the training comes from it."""
    weights: str | None = None
    """Where to leave the trained weights as safetensors: a path on the worker's machine, or a URL of an
    artifact store. None during a search, which keeps no weights.
    """
    until: int | None = None
    """Epochs after which it is judged and ends; None: `settings.epochs`, which is always the full
    training.
    """
    checkpoint: Checkpoint | None = None
    """None where it is begun and ended at one go."""
    start: str | None = None
    """Where the weights are that it starts from, of a network that has given ones, as `weights`."""
    hand_made: HandMadeRule = "kaiming"
    """How a hand-made network is built and drawn."""
    rung: Rung | None = None
    """None where it is not trained on later, nor was before."""

    def __post_init__(self) -> None:
        if self.until is not None and not 1 <= self.until <= self.settings.epochs:
            raise ValueError(f"a training ends after 1 to {self.settings.epochs} epochs, found {self.until}")

    @property
    def last_epoch(self) -> int:
        """The epoch that ends it, from 1."""
        return self.settings.epochs if self.until is None else self.until


@dataclass(frozen=True)
class FeaturesTask:
    """Train a network briefly on a sample of the training images, and keep what enters its class layer, and that layer's weight
    and bias, from which masks go on; comes to the `Features`. It is also the recipe by which all that is made again, to the same
    bits, where it was lost.
    """

    network: Network
    """Whose features."""
    settings: TrainingSettings
    """How it is trained: for a few epochs, at the rate beta in `class_dropout`."""
    data_key: str
    """Names the data."""
    seed: int
    """All chance comes from it, the sample's too."""
    share: float
    """Of the training images in the sample, above 0 and up to 1."""
    place: str
    """File that they are left in, safetensors: a path, or a URL of an artifact store."""
    hand_made: HandMadeRule = "kaiming"
    """As in `TrainingTask`."""
    start: str | None = None
    """As in `TrainingTask`."""


@dataclass(frozen=True)
class MaskRule:
    """How a mask is judged (GA-Dropout, equations 4 and 5; where the paper is silent, as it is read here)."""

    beta: float = 0.5
    """Rate of dropout that the search starts from, 0 to 1, 1 excluded."""
    objective: Literal["train", "validation"] = "train"
    """train: the sum over the epochs of the mean training loss. validation: of the mean loss over every fifth image of the
    sample, which no mask is then trained on, though the network was; a training loss favours keeping every unit."""
    scale: Literal["beta", "kept"] = "beta"
    """What kept features are multiplied by. beta: 1 / (1 - beta). kept: units / kept units."""


@dataclass(frozen=True)
class MasksTask:
    """Go on with the training of the class layer once for each mask of what enters it; comes to the `Losses` of all."""

    masks: Masks
    """Which outputs of that layer each training keeps."""
    settings: TrainingSettings
    """How each is trained."""
    data_key: str
    """Names the data."""
    seed: int
    """Of the order of the images, all the chance that there is: the same for every generation, so that masks are compared by
    equal chance.
    """
    features: FeaturesTask | None = None
    """Where the features are, and how they are made again; None: of doubles, which need none."""
    rule: MaskRule = field(default_factory=MaskRule)
    """How each is judged."""


@dataclass(frozen=True)
class PredictionTask:
    """Classify images with a trained network; sent after its training has ended."""

    network: Network
    """What was trained."""
    settings: TrainingSettings
    """How it was trained."""
    data_key: str
    """Names the data that it was trained on."""
    weights: str
    """Where its weights are, as in `TrainingTask`."""
    images: Images
    """(N, C, H, W) uint8."""
    hand_made: HandMadeRule = "kaiming"
    """As in `TrainingTask`."""
    with_validation: bool = False
    """Whether it classifies the validation images too, which every worker has."""


Measure = Literal["accuracy", "balanced_accuracy", "f1", "auroc"]
"""What may be measured on the validation images after a training's last epoch."""


@dataclass(frozen=True)
class Measures:
    """What a training came to on the validation images after its last epoch besides the accuracy, each 0 to 1."""

    balanced_accuracy: float
    """The share of its images that is recognised, averaged over the classes."""
    f1: float
    """Of the positive class where there are two, else averaged over the classes."""
    auroc: float | None
    """Area under the ROC curve, each class against the rest, averaged over the classes; None where it is undefined."""
    auroc_undefined: str | None = None
    """Why it is."""

    def __post_init__(self) -> None:
        for name in ("balanced_accuracy", "f1", "auroc"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"{name} lies between 0 and 1, found {value}")
        if (self.auroc is None) != (self.auroc_undefined is not None):
            raise ValueError("an AUROC that is undefined has a reason, and no other one")


@dataclass(frozen=True)
class Success:
    """A finished training."""

    fitness: float | None
    """Validation accuracy after the epoch that is judged, 0 to 1: `judged_epoch`. None where the validation images were trained
    on too.
    """
    seconds: float
    """Wall time on the worker."""
    curve: tuple[EpochRecord, ...] = ()
    """One record per epoch."""
    measures: Measures | None = None
    """What else it came to; None in journals before schema 3, and from evaluators that measure nothing else."""

    def __post_init__(self) -> None:
        if self.fitness is None:
            if self.measures is not None:
                raise ValueError("a training that is not judged has no measures either")
        elif not 0 <= self.fitness <= 1:  # NaN fails this too: nothing non-finite is ever a fitness
            raise ValueError(f"a fitness lies between 0 and 1, found {self.fitness}")

    def by(self, measure: Measure) -> float | None:
        """The fitness by `measure`, 0 to 1; where that was not measured, or is undefined, the accuracy; None where there is
        no fitness.

        >>> Success(0.9, 1.0, measures=Measures(0.5, 0.0, 0.75)).by("auroc"), Success(0.9, 1.0).by("auroc")
        (0.75, 0.9)
        """
        if measure == "accuracy" or self.measures is None:
            return self.fitness
        found: float | None = getattr(self.measures, measure)
        return self.fitness if found is None else found


@dataclass(frozen=True)
class Failure:
    """An evaluation without a fitness."""

    kind: FailureKind
    """In what way it failed."""
    message: str
    """One line for a person."""
    seconds: float = 0.0
    """Wall time until then."""
    curve: tuple[EpochRecord, ...] = ()
    """A record for each epoch that ended before."""
    node_lost: bool = False
    """The worker's whole node is gone, be it preempted, cut off or dead: nobody's fault, and held against
    nothing. Journals of the first version do not distinguish the two kinds of loss, and count all.
    """


@dataclass(frozen=True)
class Losses:
    """What came of training masks."""

    KIND: ClassVar = "Losses"  # in journals

    losses: tuple[float, ...]
    """The loss of each mask, in their order."""
    seconds: float
    """Wall time on the worker."""


@dataclass(frozen=True)
class Features:
    """Features that were kept."""

    KIND: ClassVar = "Features"  # in journals

    digest: str
    """sha256 of the file, 64 hexadecimal digits."""
    units: int
    """Of the dropout layer: how long a mask is."""
    seconds: float
    """Wall time on the worker."""


Measured: TypeAlias = Success | Losses | Features
"""What a trial came to that did not fail."""
Outcome: TypeAlias = Measured | Failure


@dataclass(frozen=True)
class Prediction:
    """What a network answers to images."""

    probabilities: npt.NDArray[np.float32]
    """(images, classes) float32, each row summing to 1."""
    validation: npt.NDArray[np.float32] | None = None
    """The same of the validation images, in their order; None: not asked for."""


TrialTask: TypeAlias = TrainingTask | FeaturesTask | MasksTask
"""What makes a trial."""
Task: TypeAlias = TrialTask | PredictionTask
Result: TypeAlias = Outcome | Prediction


class Evaluator(Protocol):
    """What a worker runs. Created once per worker process, with the data; then asked again and again."""

    def handle(self, task: Task, progress: Progress = UNWATCHED) -> Result:
        """Do what `task` asks: a trial ends in an `Outcome`, a prediction in a `Prediction`.

        Equal trainings give equal fitness on every worker. Failures of the candidate come back as `Failure`; a
        `TimedOutError` of `progress` passes through, and any other exception is a bug or a dying process.
        """
        ...
