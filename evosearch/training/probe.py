"""A step on a new worker, so that a broken torch, driver or GPU is found before the first evaluation."""

from evosearch.data import SearchData, Split
from evosearch.errors import EvaluationError
from evosearch.evaluation import Failure, TrainingSettings, TrainingTask
from evosearch.genome import parse
from evosearch.training.trainer import Trainer

NETWORK = "B1 | F1"
"""Convolution, batch norm and dense: the kernels of every network, on any image."""

IMAGES = 4


def probe(data: SearchData, device: str) -> None:
    """Train the smallest network on one batch of `data` and validate it on a few images, as an evaluation does.

    Nothing of it is left: each evaluation seeds its own random numbers.

    Raises:
        EvaluationError: it went wrong.
    """
    few = SearchData(_first(data.train), _first(data.validation), data.classes, data.key)
    settings = TrainingSettings(epochs=1, batch_size=IMAGES)
    try:
        outcome = Trainer(few, device).handle(TrainingTask(parse(NETWORK), settings, data.key, seed=0))
    except Exception as error:
        raise EvaluationError(f"the probe step failed: {type(error).__name__}: {error}") from error
    if isinstance(outcome, Failure):
        raise EvaluationError(f"the probe step failed: {outcome.message}")


def _first(split: Split) -> Split:
    return Split(split.images[:IMAGES], split.labels[:IMAGES])
