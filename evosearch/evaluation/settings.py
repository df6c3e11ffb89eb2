"""How networks are trained."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from evosearch.errors import ConfigError

Optimizer = Literal["adam", "sgd", "adadelta", "rmsprop"]
Augment = Literal["none", "flip", "flip_crop"]

Precision = Literal["fp32", "tf32", "bf16"]
"""How a training computes."""

HandMadeRule = Literal["kaiming", "torchvision"]
"""How hand-made networks are built and drawn; torchvision: as in the lists of the first versions."""

MOST_EPOCHS = 10_000_000
"""Longer than anybody waits; more is a slip of the keyboard."""

MOST_FINAL_SEEDS = 1000
"""Of one search; as many as `--seeds` takes."""

MOST_CONTENDERS = 100
"""And so many trainings of each."""

MOST_BATCH = 1_000_000
"""Images; more fit no device at once."""

MOST_THREADS = 256
"""Of one worker; starting many more takes minutes."""


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
    """Rate after each hidden dense layer of a chromosome (from the authors' released code); a hand-made network has its own."""
    normalize: Literal["unit", "standard", "imagenet"] = "unit"
    """unit: pixels / 255. standard: then minus the mean and by the deviation of each training channel. imagenet: minus the mean and by the deviation that torchvision's pre-trained networks were trained with; gray images take the averages over its three channels, where a network repeats them each copy its own channel's."""
    precision: Literal["auto", "fp32", "tf32", "bf16"] = field(
        default="auto", metadata={"absent": "fp32", "papers": "fp32"}
    )
    """auto: bf16 where the first worker that joins computes it by instructions of its own (a GPU from compute capability 8.0 on, a CPU with avx512_bf16 or AMX), else fp32; that holds for the whole search, group or study and its retrainings, and a worker that lacks the instructions for bf16 is turned away. fp32: IEEE. tf32: products and convolutions on a GPU's tensor cores; a worker whose device has none is turned away. bf16: forward and loss under autocast, weights and optimizer in fp32; named here, it is computed anywhere, on most CPUs slower than fp32. Images are classified in fp32 once a training has ended, the validation images of each epoch as it trains."""
    deterministic: bool = True
    """Only kernels that give the same bits each time."""
    threads: int = 1
    """Torch threads per worker."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: an image of class c counts n / (k n_c) in the loss, of n training images in k classes n_c in c, and the loss of a batch is divided by its sum of weights; the loss in the curve stays unweighted."""
    augment: Augment = "none"
    """flip: each training image is mirrored left to right with a chance of one half at each step. flip_crop: and moved by up to an eighth of its sides, mirrored at the edges. Validation images stay as they are."""
    patience: int | None = None
    """Epochs without a new lowest validation loss after which a training ends; the weights of its lowest are kept and judged. null: it goes to its last epoch, which is judged."""
    fit: Literal["train", "train_validation"] = "train"
    """train: on the training images. train_validation: on the validation images too, so that nothing is left to judge by: for final trainings and lists."""
    class_dropout: float | None = None
    """Rate of the dropout before the class layer, of hand-made networks as of evolved ones; one that has none there gets it. null: as the network has it."""
    dropout_units: Literal["uniform", "weighted"] = "uniform"
    """Which units that dropout drops. uniform: each with the same chance. weighted: the weaker a unit's features are in the batch, the more often, the rate on average the same."""

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
        if self.class_dropout is not None and not 0 <= self.class_dropout < 1:
            raise ConfigError(
                f"training.class_dropout is {self.class_dropout}; a rate lies between 0 and 1, 1 excluded; null leaves the "
                "network as it is"
            )
        if self.dropout_units == "weighted" and self.class_dropout is None:
            raise ConfigError(
                "training.dropout_units is weighted, which is of the dropout before the class layer; give training.class_dropout"
            )
        if self.patience is not None:
            check_patience("training", self.patience, self.fit)

    @property
    def validates(self) -> bool:
        """Whether the validation images are left to judge by."""
        return self.fit == "train"

    def at(self, precision: Precision | None) -> "TrainingSettings":
        """These, where `auto` means `precision`; None: nobody knows yet.

        >>> TrainingSettings().at("bf16").precision, TrainingSettings(precision="fp32").at("bf16").precision
        ('bf16', 'fp32')
        """
        if self.precision != "auto" or precision is None:
            return self
        return replace(self, precision=precision)

    def identity(self) -> dict[str, Any]:
        """What makes equal settings equal, as plain values for a hash. Keys that came after the first ones are left out
        where they change nothing, so that what was hashed before is found again.

        >>> sorted(TrainingSettings(patience=3).identity().keys() - TrainingSettings().identity().keys())
        ['patience']
        """
        unchanged = {one.name for one in fields(self) if getattr(self, one.name) == one.default}
        return {key: value for key, value in asdict(self).items() if key not in _LATER & unchanged}

    def check_images(self, count: int) -> None:
        """See that there is a whole batch among `count` training images.

        Raises:
            ConfigError: there is none.

        >>> TrainingSettings(batch_size=16).check_images(16)
        """
        if count < self.batch_size:
            raise ConfigError(
                f"training.batch_size is {self.batch_size}, but train has {count} images; make it at most {max(2, count)}"
                + (", and add images" if count < 2 else "")
            )

    def objections(self) -> Sequence[str]:
        """Why no search may be begun with these, one line each; one that was begun before goes on."""
        epochs = _too_many_epochs("training", self.epochs)
        if self.batch_size <= MOST_BATCH:
            return epochs
        return (*epochs, f"training.batch_size is {self.batch_size}; it must be at most {MOST_BATCH:,}")


_LATER = {"class_weights", "augment", "patience", "fit", "class_dropout", "dropout_units"}
"""Keys that hashed settings of earlier versions do not have."""


def check_patience(section: str, patience: int, fit: str) -> None:
    """See that a training can end early. `section`: whose keys they are.

    Raises:
        ConfigError: it cannot.
    """
    if not 1 <= patience <= MOST_EPOCHS:
        raise ConfigError(
            f"{section}.patience is {patience}; it must be at least 1 and at most {MOST_EPOCHS:,}, or null for none"
        )
    if fit != "train":
        raise ConfigError(
            f"{section}.patience is {patience} while {section}.fit is {fit}: no image is left to see the validation loss "
            f"by; leave one of the two out"
        )


Threshold = Literal["half", "validation"]
"""Above which probability of the positive class of two a trained network answers it."""


@dataclass(frozen=True)
class FinalSettings:
    """How the best network is trained again after the search. Each field is a key under `final`."""

    epochs: int = 1000
    """Passes over the training images, in place of `training.epochs`; the paper's number."""
    seeds: int = 1
    """How many networks `retrain` trains, from the seeds 1 to this, where `--seeds` names no others."""
    fit: Literal["train", "train_validation"] = "train"
    """As `training.fit`, in its place: train_validation trains on the validation images too, so that these say nothing of the network any more."""
    patience: int | None = None
    """As `training.patience`, in its place: epochs without a new lowest validation loss after which a training ends, with the weights of the lowest. null: it goes to its last epoch."""
    threshold: Threshold = "half"
    """Of two classes, the probability of the positive one above which a trained network answers it on the test images. half: the more probable class is answered. validation: the one of the best balanced accuracy on the validation images, by the network itself; of equally good ones the nearest to one half."""
    positive_share: float | None = None
    """Share of positive images, above 0 and below 1, where the networks are to be used, as far as it is known without the test images; the probabilities of two classes are corrected from the share that was trained on to it before the more probable class is answered. null: they stay as they are."""
    contenders: int = 1
    """So many of the search's best networks `retrain` first trains afresh, as the search trained them; the winner is the one of the best mean over these trainings alone. 1: the search's best is its winner."""
    contender_trainings: int = 3
    """Fresh trainings of each contender."""

    def __post_init__(self) -> None:
        for name in ("contenders", "contender_trainings"):
            if not 1 <= getattr(self, name) <= MOST_CONTENDERS:
                raise ConfigError(
                    f"final.{name} is {getattr(self, name)}; it must be at least 1 and at most {MOST_CONTENDERS}"
                )
        if self.epochs < 1:
            raise ConfigError(f"final.epochs is {self.epochs}; it must be at least 1")
        if not 1 <= self.seeds <= MOST_FINAL_SEEDS:
            raise ConfigError(
                f"final.seeds is {self.seeds}; it must be at least 1 and at most {MOST_FINAL_SEEDS:,}"
            )
        if self.patience is not None:
            check_patience("final", self.patience, self.fit)
        if self.positive_share is not None and not 0 < self.positive_share < 1:
            raise ConfigError(
                f"final.positive_share is {self.positive_share}; it must be above 0 and below 1, or null for none"
            )
        if self.threshold == "validation":
            self._check_chosen()

    def _check_chosen(self) -> None:
        """See that the validation images can choose the threshold."""
        if self.fit != "train":
            raise ConfigError(
                f"final.threshold is validation while final.fit is {self.fit}: no image is left to choose it by; leave one of "
                "the two out"
            )
        if self.positive_share is not None:
            raise ConfigError(
                f"final.threshold is validation while final.positive_share is {self.positive_share}: each says above which "
                "probability an answer is positive; leave one of the two out"
            )

    def training(self, training: TrainingSettings) -> TrainingSettings:
        """How a network is trained that was trained by `training` in the search."""
        return replace(training, epochs=self.epochs, fit=self.fit, patience=self.patience)

    def objections(self) -> Sequence[str]:
        """As those of `TrainingSettings`."""
        return _too_many_epochs("final", self.epochs)


def _too_many_epochs(section: str, epochs: int) -> Sequence[str]:
    if epochs <= MOST_EPOCHS:
        return ()
    return (f"{section}.epochs is {epochs}; it must be at most {MOST_EPOCHS:,}",)
