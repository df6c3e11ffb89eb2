"""What gives a class away without what a picture shows: file headers alone, and ten plain statistics of the pixels.

Where headers give the class, a network can do so too: sizes and coding leave their marks in the pixels, and what is learned from
these is no medicine. Brightness and sharpness may come from the source as well, or from what is shown; a network that does no
better than they need not have seen more. Where headers tell the splits apart, these are not from one source, and a figure on
one says little of another. The test split's labels are used by `shortcut_on_test` and `pixels_on_test` alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from evosearch.data.arrays import Dataset, Split
from evosearch.data.headers import Headers, header_features
from evosearch.data.pixel_statistics import pixel_statistics
from evosearch.errors import DataError

TREES = 200
LEAST_LEAF = 5
"""The forest that guesses: so many trees, whose leaves hold so many images at least, from seed 0. On COVID-CT it is right on
61 to 64 % of validation and 85 % of test, whatever the seed; with leaves of one image on 70 and 87 %."""
MOST_LEARNED = 20_000
"""It learns from so many images at most, drawn with seed 0."""
MOST_TOLD_APART = 2_000
"""So many images of each split at most are told apart, drawn with seed 0."""
BY_CHANCE = 0.001
"""Probability below which a finding is taken for more than chance."""
LEAST_AUROC = 0.6
"""Area from which on splits that are told apart are worth a word; 0.5 is chance."""

FOLDS = 5
"""Parts of two splits, each judged by a forest that saw the others; of a split with fewer images nothing is asked."""

_Rows = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SplitShift:
    """How well headers alone tell the images of two splits apart."""

    one: str
    """A split."""
    other: str
    """A later one."""
    auroc: float
    """Of a forest on the fifth of the images that it has not seen, five times: 0.5 is chance, 1 is always."""
    chance: float
    """Probability of so large an area where headers say nothing (Mann-Whitney, one-sided)."""

    @property
    def told_apart(self) -> bool:
        """Whether that is more than chance, and much."""
        return self.chance < BY_CHANCE and self.auroc >= LEAST_AUROC


def shortcut_on_validation(dataset: Dataset) -> float | None:
    """Accuracy on validation of a forest that saw train's headers and no pixel; None where images are no files."""
    return _shortcut(dataset, "validation")


def shortcut_on_test(dataset: Dataset) -> float | None:
    """The same accuracy on the test split, whose labels it reads: for the tables of studies, which read them too, and for
    nothing that comes before.
    """
    return _shortcut(dataset, "test")


def pixels_on_validation(dataset: Dataset) -> float:
    """Accuracy on validation of the same forest, which saw ten statistics of each image of train (`pixel_statistics`), as
    networks get it. Nothing of the test split is used.
    """
    return _by_pixels(dataset, dataset.validation)


def pixels_on_test(dataset: Dataset) -> float:
    """The same accuracy on the test split, whose labels it reads: as `shortcut_on_test`, for the tables of studies alone."""
    return _by_pixels(dataset, dataset.test)


def split_shifts(headers: Mapping[str, Headers]) -> tuple[SplitShift, ...]:
    """For each two splits how well headers tell them apart, the best told first; nothing where all headers are equal, and
    nothing of a split with fewer images than there are parts to try (5).
    """
    features = header_features(headers)
    if not _differ(features):
        return ()
    large = [split for split in features if len(features[split]) >= FOLDS]
    shifts = [_shift(one, other, features) for one, other in combinations(large, 2)]
    return tuple(sorted(shifts, key=lambda shift: -shift.auroc))


def _by_pixels(dataset: Dataset, asked: Split) -> float:
    rows = _drawn(len(dataset.train), MOST_LEARNED)
    learned = pixel_statistics(dataset.train.images, rows)
    forest = _forest(TREES).fit(learned, dataset.train.labels[rows])
    return float(forest.score(pixel_statistics(asked.images), asked.labels))


def _shortcut(dataset: Dataset, split: str) -> float | None:
    if dataset.headers is None:
        return None
    features = header_features(dataset.headers)
    known, asked = dataset.train, getattr(dataset, split)
    if len(known) != len(features["train"]) or len(asked) != len(features[split]):
        raise DataError(
            f"there are headers of {len(features[split])} images of {split}, which has {len(asked)}"
        )
    rows = _drawn(len(known), MOST_LEARNED)
    forest = _forest(TREES).fit(features["train"][rows], known.labels[rows])
    return float(forest.score(features[split], asked.labels))


def _shift(one: str, other: str, features: Mapping[str, _Rows]) -> SplitShift:
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 -- a second that data without files do not pay
    from sklearn.model_selection import StratifiedKFold, cross_val_predict  # noqa: PLC0415 -- likewise

    some, others = (features[name][_drawn(len(features[name]), MOST_TOLD_APART)] for name in (one, other))
    rows = np.concatenate([some, others])
    is_other = np.repeat([0, 1], [len(some), len(others)])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    forest = _forest(TREES // 4, class_weight="balanced")
    scores = cross_val_predict(forest, rows, is_other, cv=folds, method="predict_proba")[:, 1]
    test = mannwhitneyu(scores[is_other == 1], scores[is_other == 0], alternative="greater")
    return SplitShift(one, other, float(test.statistic / (len(some) * len(others))), float(test.pvalue))


def _forest(trees: int, **more: Any) -> Any:
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 -- a second that data without files do not pay

    return RandomForestClassifier(trees, min_samples_leaf=LEAST_LEAF, random_state=0, **more)


def _drawn(count: int, most: int) -> npt.NDArray[np.int64]:
    """At most `most` of `count` places, in order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def _differ(features: Mapping[str, _Rows]) -> bool:
    rows = np.concatenate(list(features.values()))
    return bool((rows != rows[:1]).any())
