"""Twins: pictures that are one picture, whatever size, brightness or coding it was saved with.

Equal pictures are those of equal pixels. Near twins pass two checks on small gray copies of both, each brought to mean 0
and length 1, so that neither brightness nor contrast counts:

1. their correlation over 32 x 32 fields is at least `ALIKE`;
2. so is the correlation of their detail, what a blur takes away, at least `DETAIL`: X-rays of one pose look alike as wholes,
   and differ in their detail.

Counted by eye, at 32 pixels: of 69 such pairs of CIFAR-10 all are one picture each; of 17 of COVID-CT each is one picture or
two neighbouring slices of one scan, never two patients. Of 5,856 chest X-rays (Kermany's, at 64 pixels), 1,918 pairs of
unequal pixels pass the first check, and none the second; of 5,030 (PneumoniaMNIST) 6 and none.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from evosearch.evaluation import Images

ALIKE = 0.95
"""Correlation of two small copies from which on the second check is made. The pictures that COVID-CT has twice reach 0.985
and 0.994 at 224 pixels."""
DETAIL = 0.9
"""Correlation of their detail from which on two pictures are taken for one. Those of COVID-CT reach 0.937 and 0.976, the
likest X-rays of two patients 0.886."""
LEAST_SIDE = 16
"""In smaller pictures there is too little detail to tell a copy from a likeness: only equal ones are looked for."""
MOST_COMPARED = 70_000
"""Among more pictures only equal ones are looked for: the comparison grows with the square of their number, and 60,000 take
half a minute to two and 0.6 GB."""
MOST_PAIRS = 1_000_000
"""So many pairs at most are kept and named further on; a camera that never moves may give billions."""

_SIDE = 32
_COARSE = 16
_COARSE_ALIKE = 0.93
"""Of still smaller copies, below which none of 32 x 32 fields reached `ALIKE`: it saves most of the products."""
_BLUR = 1.5
_CHUNK = 256
_DENSE = 0.02
"""Share of the pairs of a piece from which on products of whole matrices are quicker than products of pairs."""

Floats: TypeAlias = npt.NDArray[np.float32]
Numbers: TypeAlias = npt.NDArray[np.int64]


class Twin(NamedTuple):
    """Two pictures that are one. `likeness`: 1 of equal pixels, else from `ALIKE` on."""

    split: str
    name: str
    label: str
    other_split: str
    other_name: str
    other_label: str
    likeness: float

    def __str__(self) -> str:
        """For a person: `train a.png (cat) = test b.png (dog)`, with `~` where they are nearly equal."""
        sign = "=" if self.likeness == 1 else "~"
        return f"{self.split} {self.name} ({self.label}) {sign} {self.other_split} {self.other_name} ({self.other_label})"


@dataclass(frozen=True, eq=False)
class Small:
    """Small copies of pictures, by which these are compared."""

    coarse: Floats
    """(N, at most 256), mean 0, length 1."""
    fine: Floats
    """(N, at most 1024), likewise."""
    detail: Floats
    """As `fine`, without what a blur leaves."""

    def __getitem__(self, rows: slice | Numbers) -> "Small":
        return Small(self.coarse[rows], self.fine[rows], self.detail[rows])

    def __len__(self) -> int:
        return len(self.fine)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of pictures by their numbers, the smaller one first, each pair once."""

    one: Numbers
    """(P,)."""
    other: Numbers
    """(P,)."""
    likeness: Floats
    """(P,): correlation of the small copies."""
    count: int
    """How many were found; more than P where not all are kept."""
    set_aside: int = 0
    """How many more are alike as wholes and differ in their detail."""


def comparable(pictures: Sequence[Images]) -> bool:
    """Whether near twins are looked for among so many pictures (N, C, H, W) of such a size."""
    return sum(map(len, pictures)) <= MOST_COMPARED and min(pictures[0].shape[2:]) >= LEAST_SIDE


def digests_of(pictures: Sequence[Images]) -> list[bytes]:
    """A hash for each picture of each array (N, C, H, W), in their order: equal of equal pixels."""
    return [hashlib.sha256(image.tobytes()).digest() for images in pictures for image in images]


def small_copies(pictures: Sequence[Images]) -> Small:
    """Gray means over fields of pictures (N, C, H, W) uint8, one array after the other; of one colour: zeros, which are like
    nothing.
    """
    height, width = pictures[0].shape[2:]
    count = sum(map(len, pictures))
    made = Small(
        *(
            np.zeros((count, min(side, height) * min(side, width)), np.float32)
            for side in (_COARSE, _SIDE, _SIDE)
        )
    )
    pieces = (images[at : at + _CHUNK] for images in pictures for at in range(0, len(images), _CHUNK))
    end = 0
    for piece in pieces:
        start, end = end, end + len(piece)
        one = _small(piece)
        made.coarse[start:end], made.fine[start:end], made.detail[start:end] = (
            one.coarse,
            one.fine,
            one.detail,
        )
    return made


def _small(images: Images) -> Small:
    from scipy.ndimage import gaussian_filter  # noqa: PLC0415 -- half a second for whoever compares nothing

    fields = _fields(images, _SIDE)
    blurred = gaussian_filter(fields, (0, _BLUR, _BLUR), mode="nearest")
    return Small(_normed(_fields(images, _COARSE)), _normed(fields), _normed(fields - blurred))


def near_twins(small: Small) -> Pairs:
    """All pairs of near twins; equal pictures are such too, and are better looked for first."""
    pieces = (
        (start, _alike(small[start : start + _CHUNK], small[start:], above=True))
        for start in range(0, len(small), _CHUNK)
    )
    kept = [_Found.nothing()]
    count, set_aside, room = 0, 0, MOST_PAIRS
    for start, found in pieces:
        count, set_aside = count + len(found.one), set_aside + found.set_aside
        kept.append(_Found(start + found.one[:room], start + found.other[:room], found.likeness[:room]))
        room -= len(kept[-1].one)
    return Pairs(
        np.concatenate([found.one for found in kept]),
        np.concatenate([found.other for found in kept]),
        np.concatenate([found.likeness for found in kept]),
        count,
        set_aside,
    )


def has_twin(small: Small, among: Small) -> npt.NDArray[np.bool_]:
    """(N,): whether each of `small` has a near twin in `among`."""
    found = np.zeros(len(small), np.bool_)
    for start in range(0, len(small), _CHUNK):
        found[start + _alike(small[start : start + _CHUNK], among).one] = True
    return found


@dataclass(frozen=True, eq=False)
class _Found:
    """Pairs by their places in two pieces, and how many more pass the first check alone."""

    one: Numbers
    other: Numbers
    likeness: Floats
    set_aside: int = 0

    @staticmethod
    def nothing() -> "_Found":
        return _Found(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))


def _alike(some: Small, others: Small, *, above: bool = False) -> _Found:
    """The pairs that pass. `above`: only those whose second place is the greater one."""
    close = some.coarse @ others.coarse.T >= _COARSE_ALIKE
    if above:
        close = np.triu(close, 1)
    if np.count_nonzero(close) > _DENSE * close.size:
        return _alike_of_many(some, others, close)
    one, other = np.nonzero(close)
    likeness = _products(some.fine, others.fine, one, other)
    alike = likeness >= ALIKE
    one, other, likeness = one[alike], other[alike], likeness[alike]
    same = _products(some.detail, others.detail, one, other) >= DETAIL
    return _Found(one[same], other[same], likeness[same], int(np.count_nonzero(~same)))


def _alike_of_many(some: Small, others: Small, close: npt.NDArray[np.bool_]) -> _Found:
    """As `_alike`, of the pairs that are marked in `close` (rows, columns), where these are a large part of all."""
    likeness = some.fine @ others.fine.T
    close &= likeness >= ALIKE
    whole = np.count_nonzero(close)
    close &= some.detail @ others.detail.T >= DETAIL
    one, other = np.nonzero(close)
    return _Found(one, other, likeness[one, other], int(whole) - len(one))


def _products(some: Floats, others: Floats, one: Numbers, other: Numbers) -> Floats:
    """(P,): of the rows `one` of `some` with the rows `other` of `others`."""
    made = np.zeros(len(one), np.float32)
    for start in range(0, len(one), 16 * _CHUNK):
        rows = slice(start, start + 16 * _CHUNK)
        made[rows] = np.einsum("ij,ij->i", some[one[rows]], others[other[rows]])
    return made


def _fields(images: Images, most: int) -> Floats:
    """Gray means over at most `most` x `most` fields of equal area: (N, rows, columns) float32."""
    _, channels, height, width = images.shape
    rows, columns = (np.arange(n) * side // n for side in (height, width) for n in (min(most, side),))
    areas = np.outer(np.diff([*rows, height]), np.diff([*columns, width])).astype(np.float32) * channels
    gray = images.sum(axis=1, dtype=np.float32)
    means: Floats = np.add.reduceat(np.add.reduceat(gray, rows, axis=1), columns, axis=2) / areas
    return means


def _normed(fields: Floats) -> Floats:
    """(N, rows * columns), mean 0 and length 1."""
    flat = fields.reshape(len(fields), fields.shape[1] * fields.shape[2])
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    flat[length[:, 0] <= 1e-3] = 0
    normed: Floats = flat / np.maximum(length, np.float32(1e-3))
    return normed
