"""How sure a figure of the test images is: 95 % intervals over which images the test split happens to hold.

Shares (accuracy; of two classes precision, recall, specificity) have Wilson's interval, by scipy; means over classes, F1 and the
area under the ROC curve a percentile bootstrap over the images. Of other trainings they say nothing: that takes seeds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from evosearch.evaluation import Labels

LEVEL = 0.95
"""Of all intervals."""

DRAWS = 2000
"""Of the bootstrap."""

FEWEST_DRAWS = 200

_MOST_WORK = 60_000_000
"""Images x classes x draws; some seconds. Of larger test splits fewer draws are taken, whose intervals are narrow anyway."""

_AT_ONCE = 500_000
"""Drawn images that are looked at together; tens of megabytes."""

Interval: TypeAlias = tuple[float, float]
"""Lower and upper end."""

FIGURES = ("accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1", "auroc")
"""What has an interval."""

Counts = npt.NDArray[np.int64]


def figures_of(confusion: Counts, positive: int) -> dict[str, npt.NDArray[np.float64]]:
    """The figures but the AUROC of confusion matrices (..., K, K), rows the true classes, each (...). Two classes: of the class
    `positive`; more: means over the classes. A share of no images counts 0; the balanced accuracy leaves its class out.

    >>> figures_of(np.array([[8, 2], [1, 4]]), 1)["specificity"].item()
    0.8
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    true, taken, images = confusion.sum(axis=-1), confusion.sum(axis=-2), confusion.sum(axis=(-2, -1))
    recall, precision = _share(hits, true), _share(hits, taken)
    rejected = images[..., None] - true - taken + hits
    each = {
        "precision": precision,
        "recall": recall,
        "specificity": _share(rejected, images[..., None] - true),
        "f1": _share(2 * hits, true + taken),
    }
    binary = confusion.shape[-1] == 2
    return {
        "accuracy": _share(hits.sum(axis=-1), images),
        "balanced_accuracy": _share(recall.sum(axis=-1), (true > 0).sum(axis=-1)),
        **{name: value[..., positive] if binary else value.mean(axis=-1) for name, value in each.items()},
    }


def _share(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    shares: npt.NDArray[np.float64] = np.divide(part, whole, out=np.zeros(np.shape(part)), where=whole > 0)
    return shares


def intervals_of(
    labels: Labels,
    probabilities: npt.NDArray[np.float32],
    positive: int,
    seed: int,
    predicted: Labels | None = None,
) -> dict[str, Interval | None]:
    """The interval of each of `FIGURES`; None where it is undefined: a share of no images, or an AUROC that most draws lack.

    Args:
        labels: (N,) true classes.
        probabilities: (N, K) of each class.
        positive: number of the positive class of two.
        seed: of the draws, 0 or above.
        predicted: (N,) the classes that were answered; None: the most probable ones.
    """
    classes = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1) if predicted is None else predicted
    drawn = [*_drawn(labels, predicted, probabilities, positive, seed)]
    together = {name: np.concatenate([one[name] for one in drawn]) for name in FIGURES}
    found = {name: _percentiles(values) for name, values in together.items()}
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    return found | {name: wilson(*pair) for name, pair in _shares(confusion, positive).items()}


def draws_for(images: int, classes: int) -> int:
    """How many draws the bootstrap takes.

    >>> draws_for(600, 2), draws_for(10_000, 100)
    (2000, 200)
    """
    return min(DRAWS, max(FEWEST_DRAWS, _MOST_WORK // (images * classes)))


def wilson(successes: int, trials: int) -> Interval | None:
    """Wilson's score interval of a share, at `LEVEL`; None of no trials.

    Source: Wilson, J. Am. Stat. Assoc. 22, 1927.

    >>> [round(one, 4) for one in wilson(8, 10)]
    [0.4902, 0.9433]
    """
    from scipy.stats import binomtest  # noqa: PLC0415 - most of a second that only readings need

    if trials == 0:
        return None
    found = binomtest(successes, trials).proportion_ci(LEVEL, "wilson")
    return float(found.low), float(found.high)


def _shares(confusion: Counts, positive: int) -> Mapping[str, tuple[int, int]]:
    """Those figures that are shares of images: successes and trials."""
    images, hits = int(confusion.sum()), int(np.trace(confusion))
    shares = {"accuracy": (hits, images)}
    if len(confusion) == 2:
        negative = 1 - positive
        right, rejected = int(confusion[positive, positive]), int(confusion[negative, negative])
        shares["precision"] = (right, int(confusion[:, positive].sum()))
        shares["recall"] = (right, int(confusion[positive].sum()))
        shares["specificity"] = (rejected, int(confusion[negative].sum()))
    return shares


def _drawn(
    labels: Labels, predicted: Labels, probabilities: npt.NDArray[np.float32], positive: int, seed: int
) -> Iterator[Mapping[str, npt.NDArray[np.float64]]]:
    """The figures of resampled test splits, some draws at a time."""
    images, classes = probabilities.shape
    rng, left = np.random.default_rng(seed), draws_for(images, classes)
    curves = [
        _Ranking.of(labels == k, probabilities[:, k]) for k in ([1] if classes == 2 else range(classes))
    ]
    cells = labels * classes + predicted
    while left > 0:
        count = min(left, max(1, _AT_ONCE // images))
        chosen = rng.integers(images, size=(count, images))
        confusion = _counted(cells[chosen], classes**2).reshape(count, classes, classes)
        weights = _counted(chosen, images)
        auroc = np.mean([curve.areas(weights) for curve in curves], axis=0)
        yield figures_of(confusion, positive) | {"auroc": auroc}
        left -= count


def _counted(values: npt.NDArray[np.int64], kinds: int) -> Counts:
    """How often each of 0 to `kinds` - 1 is in each row of `values`: (rows, kinds)."""
    rows = len(values)
    shifted = values + kinds * np.arange(rows)[:, None]
    return np.bincount(shifted.ravel(), minlength=rows * kinds).reshape(rows, kinds)


def _percentiles(values: npt.NDArray[np.float64]) -> Interval | None:
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values):
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


@dataclass(frozen=True, eq=False)
class _Ranking:
    """Images in the order of a score, sorted once for all draws."""

    order: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    """Where a new score begins."""
    is_positive: npt.NDArray[np.bool_]
    """In that order."""

    @classmethod
    def of(cls, is_positive: npt.NDArray[np.bool_], score: npt.NDArray[np.float32]) -> "_Ranking":
        order = np.argsort(score, kind="stable")
        ranked = score[order]
        starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
        return cls(order, starts, is_positive[order])

    def areas(self, weights: Counts) -> npt.NDArray[np.float64]:
        """The area under the ROC curve where image i is there weights[:, i] times (draws, images); NaN where one of the two
        kinds is missing. Of equal scores a pair counts half (Mann and Whitney's statistic).
        """
        ranked = weights[:, self.order].astype(np.float64)
        of_positives = ranked * self.is_positive
        positive, every = (
            np.add.reduceat(one, self.starts, axis=1) if len(self.starts) < one.shape[1] else one
            for one in (of_positives, ranked)
        )
        negative = every - positive
        won = np.einsum("ij,ij->i", positive, np.cumsum(negative, axis=1) - 0.5 * negative)
        positives = of_positives.sum(axis=1)
        pairs = positives * (ranked.sum(axis=1) - positives)
        areas: npt.NDArray[np.float64] = np.full(len(weights), np.nan)
        np.divide(won, pairs, out=areas, where=pairs > 0)
        return areas
