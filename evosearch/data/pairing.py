"""All twins of a data set by name, from the numbers that `evosearch.data.twins` finds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from evosearch.data.arrays import Dataset
from evosearch.data.listing import SPLITS
from evosearch.data.twins import Numbers, Pairs, Twin, comparable, digests_of, near_twins, small_copies


@dataclass(frozen=True, eq=False)
class Pairing:
    """The twins of a data set. Images are numbered through train, validation and test."""

    placed: tuple[tuple[str, str], ...]
    """Split and name of each image."""
    groups: Numbers
    """(N,): equal images have one number."""
    first: Numbers
    """The first image of each group."""
    twins: tuple[Twin, ...]
    """Those across splits first, then the likest. Of many equal images of one split and class each is paired with the first."""
    counts: Mapping[str, int]
    """How many of these pairs, by their splits."""
    leaked: Mapping[str, int]
    """How many images of validation and of test have a twin in train."""
    conflicts: tuple[Twin, ...]
    """Those of different classes, the likest first."""
    set_aside: int | None
    """As in `Findings`."""


def pair_up(dataset: Dataset) -> Pairing:
    """Compare all images of all splits, as networks see them."""
    splits = [getattr(dataset, split) for split in SPLITS]
    pictures = [split.images for split in splits]
    labels = np.concatenate([split.labels for split in splits])
    where = np.repeat(np.arange(len(SPLITS)), [len(split) for split in splits])
    placed = tuple((SPLITS[split], name) for split, name in zip(where, _names(dataset), strict=True))
    groups, first = equal_groups(digests_of(pictures))
    near = None
    if comparable(pictures):
        small = small_copies(pictures)
        near = near_twins(small if len(first) == len(groups) else small[first])
    twins = sorted(
        (
            _twin(one, other, likeness, placed, labels, dataset.classes)
            for one, other, likeness in _pairs(groups, first, where, labels, near)
        ),
        key=lambda twin: (twin.split == twin.other_split, -twin.likeness),
    )
    counts: dict[str, int] = {}
    for twin in twins:
        both = f"{twin.split}, {twin.other_split}"
        counts[both] = counts.get(both, 0) + 1
    return Pairing(
        placed,
        groups,
        first,
        tuple(twins),
        counts,
        _leaked(groups, where, near),
        tuple(sorted((one for one in twins if one.label != one.other_label), key=lambda one: -one.likeness)),
        None if near is None else near.set_aside,
    )


def equal_groups(digests: list[bytes]) -> tuple[Numbers, Numbers]:
    """(N,): a number for each picture, one for equal ones; and the place of the first of each number."""
    known: dict[bytes, int] = {}
    groups = np.array([known.setdefault(digest, len(known)) for digest in digests], np.int64)
    return groups, np.unique(groups, return_index=True)[1].astype(np.int64)


def _pairs(
    groups: Numbers, first: Numbers, where: Numbers, labels: Numbers, near: Pairs | None
) -> Iterator[tuple[int, int, float]]:
    """Numbers and likeness of all twins, the lower number first."""
    members: dict[int, list[int]] = {}
    for place in np.flatnonzero(np.bincount(groups)[groups] > 1).tolist():
        members.setdefault(int(groups[place]), []).append(place)
    faces: dict[int, list[int]] = {}
    for group, places in members.items():
        of: dict[tuple[int, int], int] = {}
        for place in places:
            face = of.setdefault((int(where[place]), int(labels[place])), place)
            if face != place:
                yield face, place, 1.0
        faces[group] = list(of.values())
        yield from ((one, other, 1.0) for one, other in combinations(faces[group], 2))
    if near is None:
        return
    for one, other, likeness in zip(
        near.one.tolist(), near.other.tolist(), near.likeness.tolist(), strict=True
    ):
        both = (faces.get(group) or [int(first[group])] for group in (one, other))
        for pair in product(*both):
            yield min(pair), max(pair), min(round(likeness, 4), 0.9999)


def _leaked(groups: Numbers, where: Numbers, near: Pairs | None) -> dict[str, int]:
    trained = np.bincount(groups[where == 0], minlength=int(groups.max(initial=-1)) + 1) > 0
    known = trained.copy()
    if near is not None:
        np.logical_or.at(known, near.one, trained[near.other])
        np.logical_or.at(known, near.other, trained[near.one])
    return {
        split: int(known[groups[where == place]].sum()) for place, split in enumerate(SPLITS) if place > 0
    }


def _twin(
    one: int,
    other: int,
    likeness: float,
    placed: tuple[tuple[str, str], ...],
    labels: Numbers,
    classes: tuple[str, ...],
) -> Twin:
    return Twin(*placed[one], classes[labels[one]], *placed[other], classes[labels[other]], likeness)


def _names(dataset: Dataset) -> list[str]:
    """Of all images; those of a source without names are numbered in their split."""
    return [
        name
        for split in SPLITS
        for name in (
            dataset.names.get(split) or [f"{split}/{n:04}" for n in range(len(getattr(dataset, split)))]
        )
    ]
