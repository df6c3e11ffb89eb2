"""Images that a file holds as numbers, not as pictures: brought to the configured shape, a chunk at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from evosearch.blueprint import ImageShape
from evosearch.data.decoding import fit
from evosearch.evaluation import Images, Labels

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""(n, H, W) gray, or (n, H, W, 3) colour."""

CHUNK_BYTES = 2**24
"""About so much of a file is in memory at once."""


@dataclass(frozen=True, eq=False)
class Stored:
    """One published split, before its images are read."""

    labels: Labels
    """(N,) int64: class numbers, from 0."""
    chunks: Callable[[], Iterator[Pixels]]
    """Reads the images, some at a time, N in all and in the order of the labels. Raises DataError where they are damaged."""


def rows_at_once(row_bytes: int) -> int:
    """How many images of so many bytes are read at once, at least one."""
    return max(1, CHUNK_BYTES // max(1, row_bytes))


def in_chunks(images: Pixels) -> Iterator[Pixels]:
    """Of an array, or of a file that is mapped as one: some images at a time.

    >>> [len(one) for one in in_chunks(np.zeros((5, 2, 4096, 2048), np.uint8))]
    [1, 1, 1, 1, 1]
    """
    rows = rows_at_once(images[:1].nbytes)
    for start in range(0, len(images), rows):
        yield images[start : start + rows]


def brought(stored: Stored, shape: ImageShape) -> Images:
    """The images of a split, (N, C, H, W) uint8, as image files of the same pixels would be decoded."""
    images = np.empty((len(stored.labels), shape.channels, shape.height, shape.width), np.uint8)
    start = 0
    for chunk in stored.chunks():
        _bring(chunk, images[start : start + len(chunk)], shape)
        start += len(chunk)
    return images


def _bring(chunk: Pixels, to: Images, shape: ImageShape) -> None:
    colours = 1 if chunk.ndim == 3 else 3
    if (colours, *chunk.shape[1:3]) == (
        shape.channels,
        shape.height,
        shape.width,
    ):  # as `fit` would leave them
        to[:] = chunk.reshape(*chunk.shape[:3], colours).transpose(0, 3, 1, 2)
        return
    for place, one in zip(to, chunk, strict=True):
        place[:] = fit(Image.fromarray(np.ascontiguousarray(one)), shape)
