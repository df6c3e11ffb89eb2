"""Above which probability of the positive class of two a trained network answers it, chosen without a look at the test images.

A threshold is one number, of the network's own probabilities: found on the validation images, or what answering the more probable
class comes to after the probabilities were corrected to another share of positive images (Bayes's rule; Saerens et al., Neural
Computation 14, 2002).
"""

import numpy as np
import numpy.typing as npt

from evosearch.data import Dataset, Split
from evosearch.errors import ConfigError
from evosearch.evaluation import FinalSettings, Labels

Probabilities = npt.NDArray[np.float32]


def answers(probabilities: Probabilities, positive: int, threshold: float | None) -> Labels:
    """The classes (N,) that a network answers by its `probabilities` (N, K): of two the class `positive` where its probability is above
    `threshold`; None: the most probable one, the first of equal ones.

    >>> unsure = np.array([[0.3, 0.7], [0.1, 0.9]], np.float32)
    >>> answers(unsure, 1, None).tolist(), answers(unsure, 1, 0.8).tolist()
    ([1, 1], [0, 1])
    """
    found: Labels = probabilities.argmax(axis=1)
    if threshold is not None:
        found = np.where(_scores(probabilities, positive) > threshold, positive, 1 - positive)
    return found


def best_threshold(labels: Labels, probabilities: Probabilities, positive: int) -> float:
    """That of the best balanced accuracy on images of the classes `labels` (N,), both of which are there; of one half and the middles
    between neighbouring probabilities, and of equally good ones the nearest to one half.

    >>> sure = np.array([[0.4, 0.6], [0.3, 0.7], [0.1, 0.9]], np.float32)
    >>> round(best_threshold(np.array([0, 0, 1]), sure, 1), 3)
    0.8
    """
    scores = _scores(probabilities, positive)
    each = np.unique(scores)
    found = np.concatenate([[0.5], (each[1:] + each[:-1]) / 2])
    of_positive, of_negative = np.sort(scores[labels == positive]), np.sort(scores[labels != positive])
    hits = len(of_positive) - np.searchsorted(of_positive, found, side="right")
    rejected = np.searchsorted(of_negative, found, side="right")
    # the balanced accuracy times whole numbers, so that equal ones are equal
    balanced = hits * len(of_negative) + rejected * len(of_positive)
    best = found[balanced == balanced.max()]
    return float(best[np.lexsort((best, np.abs(best - 0.5)))[0]])


def threshold_for_share(trained: float, share: float) -> float:
    """What the corrected probability one half is in the network's own: above it the positive class is the more probable one where
    `share` of the images are positive, by a network that was trained where `trained` of them were; both above 0 and below 1.

    >>> threshold_for_share(0.5, 0.5), threshold_for_share(0.75, 0.5)
    (0.5, 0.75)
    """
    return trained * (1 - share) / (trained * (1 - share) + share * (1 - trained))


def check_threshold(final: FinalSettings, dataset: Dataset) -> None:
    """See that the images can have the threshold that is asked for.

    Raises:
        ConfigError: there are more than two classes, or no image is of one of them.
    """
    if final.threshold != "half":
        _check_classes("final.threshold is validation", "validation", dataset.validation, dataset)
    if final.positive_share is not None:
        _check_classes(f"final.positive_share is {final.positive_share}", "training", dataset.train, dataset)


def _check_classes(found: str, split: str, images: Split, dataset: Dataset) -> None:
    if len(dataset.classes) != 2:
        raise ConfigError(
            f"{found}, but there are {len(dataset.classes)} classes: a threshold is of two; leave the key out"
        )
    for number, name in enumerate(dataset.classes):
        if number not in images.labels:
            raise ConfigError(f"{found}, but no {split} image is of the class {name!r}; leave the key out")


def _scores(probabilities: Probabilities, positive: int) -> npt.NDArray[np.float64]:
    """The probabilities of the positive class of two, (N,): in float32 those near 1 have become equal, which those of the other class
    tell apart.
    """
    both = probabilities.astype(np.float64)
    scores: npt.NDArray[np.float64] = both[:, positive] / both.sum(axis=1)
    return scores
