"""What is looked for in data before any figure on them is believed.

Twins within and across splits, and those under two labels; class shares that differ between splits; what file headers alone
give away, of the class and of the split, and ten statistics of the pixels of the class; pictures of one colour, and one picture
many times. No label of the test split is used but to count classes and to compare twins.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from evosearch.data.arrays import Dataset, Split
from evosearch.data.listing import SPLITS
from evosearch.data.pairing import Pairing, pair_up
from evosearch.data.shortcuts import (
    BY_CHANCE,
    SplitShift,
    pixels_on_validation,
    shortcut_on_validation,
    split_shifts,
)
from evosearch.data.twins import Twin
from evosearch.evaluation import Images

_Flags: TypeAlias = npt.NDArray[np.bool_]

LEAST_SHIFT = 0.05
"""Share of images that would have to change class for two splits to have equal shares, from which on that is worth a word;
with two classes, the difference between their shares. Besides, a chi-square test must give less than `BY_CHANCE`."""
MANY = 5
"""From so many equal images on they may be a placeholder."""
MOST_KEPT = 10_000
"""So many twins, conflicts and images of one colour are named; all are counted, of near twins the first `MOST_PAIRS`."""


class Repeated(NamedTuple):
    """One picture that is there many times."""

    split: str
    name: str
    copies: int


@dataclass(frozen=True)
class ShareShift:
    """Two splits whose classes have other shares."""

    one: str
    """A split."""
    other: str
    """A later one."""
    label: str
    """The class whose share differs most."""
    moved: float
    """Share of images that would have to change class, 0 to 1."""
    chance: float
    """Probability of such a difference where both are drawn from one source (chi-square)."""


@dataclass(frozen=True)
class Findings:
    """What was found; `evosearch.data.caveats` has words for it."""

    counts: Mapping[str, int]
    """Images by split."""
    twins: tuple[Twin, ...]
    """Equal pictures and near twins: those across splits first, then the likest; at most `MOST_KEPT`."""
    twin_counts: Mapping[str, int]
    """How many pairs, by their splits (`train, test`)."""
    leaked: Mapping[str, int]
    """How many images of validation and of test have a twin in train."""
    conflicts: tuple[Twin, ...]
    """Twins under different labels, the likest first; at most `MOST_KEPT`."""
    conflict_count: int
    """How many such pairs there are."""
    set_aside: int | None
    """How many pairs are alike as wholes but not in their detail, and so no twins; None: near twins were not looked for, since
    the images are too many or too small."""
    shares: Mapping[str, Mapping[str, float]]
    """Of each class in each split."""
    share_shift: tuple[ShareShift, ...]
    """Splits whose shares differ, the most differing first."""
    shortcut_validation: float | None
    """Accuracy on validation of file headers alone; None where images are no files."""
    constant_answer: float
    """Accuracy on validation of always answering its largest class."""
    shortcut_chance: float | None
    """Probability that a constant answer is right on so many (binomial); None as above."""
    pixels_validation: float | None
    """Accuracy on validation of ten plain statistics of the pixels; None: `with_pixels` has not added it."""
    pixels_chance: float | None
    """Probability as of `shortcut_chance`; None as above."""
    split_shift: tuple[SplitShift, ...]
    """How well headers tell each two splits apart, the best told first; none where images are no files, or headers are all equal."""
    constant_images: tuple[Repeated, ...]
    """Images of one value in every pixel, each once with its number of copies."""
    repeated: tuple[Repeated, ...]
    """Pictures that are there `MANY` times or more, but for those of one value; the most frequent first."""


def find_all(dataset: Dataset) -> Findings:
    """Everything that is looked for but what `with_pixels` adds. 60,000 images of 32 x 32 take about a minute, 6,000 a few seconds."""
    pairing = pair_up(dataset)
    splits: dict[str, Split] = dict(
        zip(SPLITS, (dataset.train, dataset.validation, dataset.test), strict=True)
    )
    shares: dict[str, dict[str, float]] = {
        name: _shares(split, dataset.classes) for name, split in splits.items()
    }
    shortcut = shortcut_on_validation(dataset)
    constant = dataset.largest_class[1]
    one_value = [_is_constant(splits[split].images) for split in SPLITS]
    plain, repeated = _repeated(pairing, np.concatenate(one_value))
    return Findings(
        counts={split: len(splits[split]) for split in SPLITS},
        twins=pairing.twins[:MOST_KEPT],
        twin_counts=pairing.counts,
        leaked=pairing.leaked,
        conflicts=pairing.conflicts[:MOST_KEPT],
        conflict_count=len(pairing.conflicts),
        set_aside=pairing.set_aside,
        shares=shares,
        share_shift=_share_shifts(splits, shares, dataset.classes),
        shortcut_validation=shortcut,
        constant_answer=constant,
        shortcut_chance=None if shortcut is None else _chance(shortcut, constant, len(dataset.validation)),
        pixels_validation=None,
        pixels_chance=None,
        split_shift=() if dataset.headers is None else split_shifts(dataset.headers),
        constant_images=plain[:MOST_KEPT],
        repeated=repeated[:MOST_KEPT],
    )


def with_pixels(found: Findings, dataset: Dataset) -> Findings:
    """And what ten statistics of the pixels give away: 60,000 images of 32 x 32 take half a minute, 6,000 a few seconds."""
    accuracy = pixels_on_validation(dataset)
    chance = _chance(accuracy, found.constant_answer, len(dataset.validation))
    return replace(found, pixels_validation=accuracy, pixels_chance=chance)


def _shares(split: Split, classes: tuple[str, ...]) -> dict[str, float]:
    counts = np.bincount(split.labels, minlength=len(classes))
    return {name: float(count / len(split)) for name, count in zip(classes, counts, strict=True)}


def _share_shifts(
    splits: Mapping[str, Split], shares: Mapping[str, Mapping[str, float]], classes: tuple[str, ...]
) -> tuple[ShareShift, ...]:
    found = []
    for place, one in enumerate(SPLITS):
        for other in SPLITS[place + 1 :]:
            differences = np.array([shares[other][name] - shares[one][name] for name in classes])
            moved = float(np.abs(differences).sum() / 2)
            if moved < LEAST_SHIFT:
                continue
            largest = np.flatnonzero(np.isclose(np.abs(differences), np.abs(differences).max()))[-1]
            chance = _chi_square(splits[one], splits[other], len(classes))
            if chance < BY_CHANCE:
                found.append(ShareShift(one, other, classes[largest], moved, chance))
    return tuple(sorted(found, key=lambda shift: -shift.moved))


def _chi_square(one: Split, other: Split, classes: int) -> float:
    from scipy.stats import chi2_contingency  # noqa: PLC0415 -- a second that data of equal shares do not pay

    table = np.array([np.bincount(split.labels, minlength=classes) for split in (one, other)])
    return float(chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue)


def _chance(shortcut: float, constant: float, count: int) -> float:
    from scipy.stats import binomtest  # noqa: PLC0415 -- as above

    return float(binomtest(round(shortcut * count), count, constant, alternative="greater").pvalue)


def _is_constant(images: Images) -> _Flags:
    """(N,): whether all pixels of each image (N, C, H, W) have one value."""
    flat = images.reshape(len(images), -1)
    constant: _Flags = (flat == flat[:, :1]).all(axis=1)
    return constant


def _repeated(pairing: Pairing, constant: _Flags) -> tuple[tuple[Repeated, ...], tuple[Repeated, ...]]:
    """Pictures of one value, and others that are there many times; the most frequent first."""
    plain, many = [], []
    for group, count in Counter(pairing.groups.tolist()).most_common():
        place = int(pairing.first[group])
        if constant[place]:
            plain.append(Repeated(*pairing.placed[place], count))
        elif count >= MANY:
            many.append(Repeated(*pairing.placed[place], count))
    return tuple(plain), tuple(many)
