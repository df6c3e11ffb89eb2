"""What a trained network comes to on the validation images besides its accuracy, without scikit-learn, which workers never load."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from evosearch.evaluation import Labels, Measures

Scores = npt.NDArray[np.float64]


def measures_of(
    labels: Labels, predicted: Labels, logits: npt.NDArray[np.float32], classes: Sequence[str], positive: int
) -> Measures:
    """Compare `labels` (N,) with `predicted` (N,), class numbers both, and with finite `logits` (N, K).

    `classes`: names of the K classes; `positive`: number of the one that F1 is of where there are two. A class that no image
    has is left out of the balanced accuracy; an F1 over no images counts 0.
    """
    counts = np.bincount(labels * len(classes) + predicted, minlength=len(classes) ** 2)
    confusion = counts.reshape(len(classes), len(classes)).astype(np.float64)  # rows: labels
    right, present, taken = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    f1 = 2 * right / np.maximum(present + taken, 1)
    missing = [name for name, images in zip(classes, present, strict=True) if not images]
    return Measures(
        balanced_accuracy=float((right[present > 0] / present[present > 0]).mean()),
        f1=float(f1[positive] if len(classes) == 2 else f1.mean()),
        auroc=None if missing else _auroc(labels, logits.astype(np.float64)),
        auroc_undefined=f"no validation image of class {', '.join(missing)}" if missing else None,
    )


def _auroc(labels: Labels, logits: Scores) -> float:
    """Each class against the rest, the mean over the classes; of two classes both are the same."""
    if logits.shape[1] == 2:
        return _area(
            logits[:, 1] - logits[:, 0], labels == 1
        )  # in the order of the probabilities, and never equal by rounding
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    return float(np.mean([_area(column, labels == number) for number, column in enumerate(probabilities.T)]))


def _area(scores: Scores, positive: npt.NDArray[np.bool_]) -> float:
    """Chance that an image of `positive` scores above another one, ties counted half: Mann and Whitney's U by mean ranks."""
    _, place, ties = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[place]
    ones = int(positive.sum())
    others = len(scores) - ones
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * others))
