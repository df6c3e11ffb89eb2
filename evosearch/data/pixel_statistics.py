"""Ten plain statistics of an image: how bright, how varied, how sharp. Nothing of them says what a picture shows."""

import numpy as np
import numpy.typing as npt

from evosearch.evaluation import Images

STATISTICS = (
    "mean",
    "standard deviation",
    "minimum",
    "maximum",
    "10 % quantile",
    "median",
    "90 % quantile",
    "change from column to column",
    "change from row to row",
    "border against middle",
)
"""In the order in which they are columns."""
STATISTICS_WORDS = "brightness, contrast, sharpness, border"
"""What is taken from the pixels, in a few words."""

BORDER = 8
"""The border is an eighth of the image on each side, and a pixel at least."""
_AT_ONCE = 4_000_000
"""So many values of images at most are unpacked at once."""


def pixel_statistics(images: Images, rows: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.float64]:
    """Rows of `STATISTICS` (N, 10), in levels of 0 to 255, of images (N, C, H, W) that are gray, or the mean over their channels;
    of those in `rows` alone, None: of all.

    Of the gray image: 1 mean, 2 standard deviation, 3 minimum, 4 maximum, 5 to 7 the quantiles of 10, 50 and 90 %, 8 and 9 the
    mean absolute difference between horizontal and between vertical neighbours (0 where there are none), 10 the mean of the
    border (`BORDER`) less the mean of what it surrounds (0 where it surrounds nothing).
    """
    asked = np.arange(len(images)) if rows is None else rows
    step = max(1, _AT_ONCE // max(1, images[:1].size))
    parts = [_statistics(images[asked[start : start + step]]) for start in range(0, len(asked), step)]
    return np.concatenate([np.empty((0, len(STATISTICS))), *parts])


def _statistics(images: Images) -> npt.NDArray[np.float64]:
    gray = images.mean(axis=1, dtype=np.float64)
    flat = gray.reshape(len(gray), -1)
    return np.column_stack(
        [
            flat.mean(axis=1),
            flat.std(axis=1),
            flat.min(axis=1),
            flat.max(axis=1),
            *np.quantile(flat, (0.1, 0.5, 0.9), axis=1),
            _change(gray, axis=2),
            _change(gray, axis=1),
            _border(gray),
        ]
    )


def _change(gray: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
    if gray.shape[axis] == 1:
        return np.zeros(len(gray))
    return np.asarray(np.abs(np.diff(gray, axis=axis)).mean(axis=(1, 2)))


def _border(gray: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    _, height, width = gray.shape
    above, left = max(1, height // BORDER), max(1, width // BORDER)
    middle = gray[:, above : height - above, left : width - left]
    if middle[0].size == 0:
        return np.zeros(len(gray))
    outside = gray.sum(axis=(1, 2)) - middle.sum(axis=(1, 2))
    return np.asarray(outside / (height * width - middle[0].size) - middle.mean(axis=(1, 2)))
