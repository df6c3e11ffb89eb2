"""What the headers of image files say: nothing that a picture shows, and yet often where it comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

HEADER_WORDS = "format, colour mode, width, height, aspect"
"""What is taken from a header."""


@dataclass(frozen=True, eq=False)
class Headers:
    """Of image files, before any change."""

    formats: npt.NDArray[np.str_]
    """(N,): Pillow's names (PNG, JPEG)."""
    modes: npt.NDArray[np.str_]
    """(N,): Pillow's colour modes (L, RGB, RGBA)."""
    sizes: npt.NDArray[np.int64]
    """(N, 2): width and height in pixels."""

    def __getitem__(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "Headers":
        return Headers(self.formats[rows], self.modes[rows], self.sizes[rows])

    def __len__(self) -> int:
        return len(self.sizes)


def join_headers(parts: Sequence[Headers]) -> Headers:
    """Of all parts, one after the other."""
    return Headers(
        np.concatenate([part.formats for part in parts]),
        np.concatenate([part.modes for part in parts]),
        np.concatenate([part.sizes for part in parts]),
    )


def header_features(headers: Mapping[str, Headers]) -> dict[str, npt.NDArray[np.float64]]:
    """Rows of numbers (N, F) by split: 0 or 1 for each format and mode that occurs in any, then width, height and width
    divided by height.
    """
    formats = sorted({str(one) for split in headers.values() for one in split.formats})
    modes = sorted({str(one) for split in headers.values() for one in split.modes})
    return {
        split: np.column_stack(
            [
                *(part.formats == one for one in formats),
                *(part.modes == one for one in modes),
                part.sizes,
                part.sizes[:, 0] / part.sizes[:, 1],
            ]
        ).astype(np.float64)
        for split, part in headers.items()
    }
