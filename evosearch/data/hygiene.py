"""What is wrong with the pictures themselves: those that are in two splits, and those under two labels.

The first make validation or test look better than it is; of the second, what is learned from one is false of the other.
Nothing is left out because of them: the data stay what they are, and a person decides.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from heapq import nlargest
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from evosearch.data.arrays import Split
from evosearch.data.folders import counted
from evosearch.data.listing import SPLITS, Item, Listing, SplitName
from evosearch.evaluation import Images

ALIKE = 0.99
"""Correlation of two thumbnails from which on two pictures are taken for one. Measured between pictures of different
labels: the two scans that COVID-CT has twice reach 0.992 and 0.998, no other pair of it 0.91; the digits, 5,030 chest
X-rays (PneumoniaMNIST) and 5,856 (Kermany's) have none from 0.985 on.
"""
MOST_COMPARED = 10_000
"""Among more pictures, likeness is not looked for: the comparison grows with the square of their number."""
MOST_ALIKE = 10
"""So many pairs of nearly equal pictures are kept; of a camera that never moves, there may be millions."""

_THUMBNAIL = 16
_CHUNK = 256

_Placed: TypeAlias = tuple[SplitName, Item]
_Floats: TypeAlias = npt.NDArray[np.float32]


class Duplicate(NamedTuple):
    """The image `name` of `split` has the very pixels of `other_name` in the later split `other_split`."""

    split: SplitName
    name: str
    other_split: SplitName
    other_name: str


class Contradiction(NamedTuple):
    """Two pictures that are one, under different labels. `likeness`: 1 of equal pixels, else from `ALIKE` on."""

    split: SplitName
    name: str
    label: str
    other_split: SplitName
    other_name: str
    other_label: str
    likeness: float

    def __str__(self) -> str:
        """For a person: `train a.png (cat) = test b.png (dog)`, with `~` where they are nearly equal."""
        sign = "=" if self.likeness == 1 else "~"
        return f"{self.split} {self.name} ({self.label}) {sign} {self.other_split} {self.other_name} ({self.other_label})"


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
    """How many such there are; None where there were too many pictures to look."""

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
    digests = [hashlib.sha256(image.tobytes()).digest() for split in SPLITS for image in arrays[split].images]
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
    """Pairs of nearly equal pictures under different labels, the likest first, and how many there are."""
    if len(placed) > MOST_COMPARED:
        return (), None
    thumbnails = np.concatenate([_thumbnails(arrays[split].images) for split in SPLITS])
    labels = np.array([item.label for _, item in placed])
    pixels = np.unique(np.array([int.from_bytes(digest[:8]) for digest in digests]), return_inverse=True)[1]
    found: list[tuple[float, int, int]] = []
    count = 0
    for start in range(0, len(placed), _CHUNK):
        rows = slice(start, start + _CHUNK)
        likeness = thumbnails[rows] @ thumbnails[start:].T
        wanted = (labels[rows, None] != labels[start:]) & (pixels[rows, None] != pixels[start:])
        one, other = np.nonzero(np.triu(likeness >= ALIKE, 1) & wanted)
        count += len(one)
        pairs = zip(
            likeness[one, other].tolist(), (-one - start).tolist(), (-other - start).tolist(), strict=True
        )
        found = nlargest(MOST_ALIKE, [*found, *pairs])
    likest = (
        _contradiction(placed[-one], placed[-other], classes, min(round(value, 4), 0.9999))
        for value, one, other in found
    )
    return tuple(likest), count


def _thumbnails(images: Images) -> _Floats:
    """Gray means over at most 16 x 16 fields, brought to mean 0 and length 1: (N, 256) float32; of one colour: 0.

    Their product is the correlation, which neither size nor brightness nor contrast changes.
    """
    sides = (min(_THUMBNAIL, side) for side in images.shape[2:])
    rows, columns = (np.arange(n) * side // n for n, side in zip(sides, images.shape[2:], strict=True))
    areas = np.outer(np.diff([*rows, images.shape[2]]), np.diff([*columns, images.shape[3]]))
    made = [np.zeros((0, areas.size), np.float32)]
    for start in range(0, len(images), _CHUNK):
        gray = images[start : start + _CHUNK].sum(axis=1, dtype=np.float32)
        fields = np.add.reduceat(np.add.reduceat(gray, rows, axis=1), columns, axis=2) / areas
        flat = fields.reshape(len(gray), -1).astype(np.float32)
        flat -= flat.mean(axis=1, keepdims=True)
        made.append(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6))
    return np.concatenate(made)


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
