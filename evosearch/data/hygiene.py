"""What is wrong with the pictures themselves: those that are in two splits, and those under two labels.

The first make validation or test look better than it is; of the second, what is learned from one is false of the other.
Nothing is left out because of them: the data stay what they are, and a person decides.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from evosearch.data.arrays import Split
from evosearch.data.folders import counted
from evosearch.data.listing import SPLITS, Item, Listing, SplitName
from evosearch.data.twins import LEAST_SIDE, Twin, digests_of, near_twins, small_copies

MOST_WHILE_LOADING = 10_000
"""Among more pictures, likeness is not looked for here: each command that reads the data would wait for it. The audit does."""
MOST_ALIKE = 10
"""So many pairs of nearly equal pictures are kept; of a camera that never moves, there may be millions."""

_Placed: TypeAlias = tuple[SplitName, Item]

Contradiction: TypeAlias = Twin
"""Two pictures that are one, under different labels."""


class Duplicate(NamedTuple):
    """The image `name` of `split` has the very pixels of `other_name` in the later split `other_split`."""

    split: SplitName
    name: str
    other_split: SplitName
    other_name: str


@dataclass(frozen=True)
class Hygiene:
    """What was found."""

    duplicates: tuple[Duplicate, ...]
    """Equal pictures that are in two splits."""
    contradictions: tuple[Contradiction, ...]
    """Equal pictures of different classes, all of them."""
    alike: tuple[Contradiction, ...]
    """Nearly equal ones of different classes: the `MOST_ALIKE` likest."""
    alike_count: int | None
    """How many such there are; None where the pictures are too many, or too small, to look."""

    @property
    def notes(self) -> tuple[str, ...]:
        """One line for a person of each kind that there is."""
        return (
            *_duplicate_notes(self.duplicates),
            *_contradiction_notes(
                "equal", len(self.contradictions), self.contradictions, "one label of each is wrong"
            ),
            *_contradiction_notes(
                "nearly equal",
                self.alike_count or 0,
                self.alike,
                "where both show one thing, a label is wrong",
            ),
        )


def examine(listing: Listing, arrays: Mapping[SplitName, Split]) -> Hygiene:
    """Compare all pictures of all splits, as networks see them.

    Files with the same bytes decode to the same pixels, so that copies of files are found too.
    """
    placed = [(split, item) for split in SPLITS for item in listing.splits[split]]
    digests = digests_of([arrays[split].images for split in SPLITS])
    alike, count = _alike(placed, digests, arrays, listing.classes)
    return Hygiene(
        tuple(_duplicates(placed, digests)),
        tuple(_contradictions(placed, digests, listing.classes)),
        alike,
        count,
    )


def _duplicates(placed: list[_Placed], digests: list[bytes]) -> Iterator[Duplicate]:
    """One entry for each image and each earlier split that holds the same decoded pixels (its first such image)."""
    first: dict[SplitName, dict[bytes, Item]] = {split: {} for split in SPLITS}
    for (split, item), digest in zip(placed, digests, strict=True):
        first[split].setdefault(digest, item)
        for earlier in SPLITS[: SPLITS.index(split)]:
            if digest in first[earlier]:
                yield Duplicate(earlier, first[earlier][digest].name, split, item.name)


def _contradictions(
    placed: list[_Placed], digests: list[bytes], classes: tuple[str, ...]
) -> Iterator[Contradiction]:
    """One entry for each image whose label is another than that of the first with the same pixels."""
    first: dict[bytes, _Placed] = {}
    for one, digest in zip(placed, digests, strict=True):
        known = first.setdefault(digest, one)
        if known[1].label != one[1].label:
            yield _contradiction(known, one, classes, 1.0)


def _alike(
    placed: list[_Placed], digests: list[bytes], arrays: Mapping[SplitName, Split], classes: tuple[str, ...]
) -> tuple[tuple[Contradiction, ...], int | None]:
    """Pairs of near twins under different labels, the likest first, and how many there are."""
    pictures = [arrays[split].images for split in SPLITS]
    if len(placed) > MOST_WHILE_LOADING or min(pictures[0].shape[2:]) < LEAST_SIDE:
        return (), None
    pairs = near_twins(small_copies(pictures))
    labels = np.array([item.label for _, item in placed], np.int64)
    wanted = [
        place
        for place in np.flatnonzero(labels[pairs.one] != labels[pairs.other])
        if digests[pairs.one[place]] != digests[pairs.other[place]]
    ]
    likest = sorted(wanted, key=lambda place: -pairs.likeness[place])[:MOST_ALIKE]
    return tuple(
        _contradiction(
            placed[pairs.one[place]],
            placed[pairs.other[place]],
            classes,
            min(round(float(pairs.likeness[place]), 4), 0.9999),
        )
        for place in likest
    ), len(wanted)


def _contradiction(one: _Placed, other: _Placed, classes: tuple[str, ...], likeness: float) -> Contradiction:
    (split, item), (other_split, other_item) = one, other
    labels = classes[item.label], classes[other_item.label]
    return Contradiction(split, item.name, labels[0], other_split, other_item.name, labels[1], likeness)


def _duplicate_notes(duplicates: tuple[Duplicate, ...]) -> tuple[str, ...]:
    if not duplicates:
        return ()
    one, verb = duplicates[0], "is" if len(duplicates) == 1 else "are"
    return (
        f"{counted(len(duplicates), 'image')} {verb} in two splits, first {one.name!r} of {one.split} as "
        f"{one.other_name!r} of {one.other_split}; accuracy on them shows memory, not skill",
    )


def _contradiction_notes(
    kind: str, count: int, contradictions: tuple[Contradiction, ...], meaning: str
) -> tuple[str, ...]:
    if not contradictions:
        return ()
    one = contradictions[0]
    return (
        f"{counted(count, 'pair')} of {kind} images under different labels, first {one.name!r} of {one.split} ({one.label}) and "
        f"{one.other_name!r} of {one.other_split} ({one.other_label}); {meaning}",
    )
