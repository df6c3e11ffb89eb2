"""Image files to arrays, decoded once, and what is worth a word about them: deep pictures whose content a scale would
lose, pages, 16-bit colours.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evosearch.blueprint import ImageShape
from evosearch.data.decoding import FULL_RANGE, Decoded, UndecodableError, Window, decode, shortest_side
from evosearch.data.folders import counted
from evosearch.data.headers import Headers
from evosearch.evaluation import Images


@dataclass(frozen=True)
class Decoding:
    """How files become pixels."""

    shape: ImageShape
    """Of each image afterwards."""
    max_pixels: int
    """A file with more is refused."""
    window: Window = "full"
    """Which values of deep pictures become black and white."""
    scale_from: frozenset[str] = frozenset()
    """Names of the files whose values `auto` takes: those that are trained on."""
    neutral: bool = False
    """Whether files are brought to gray centre squares of one resolution first, see `fit_neutral`."""
    side: int | None = None
    """Of these squares at most, where files are larger; None: the shortest side of all files."""


@dataclass(frozen=True, eq=False)
class DecodedFiles:
    """What was decoded, in the order of the names asked for, and of each file what it was before any
    change.
    """

    images: Images
    """(files, C, H, W) uint8; those of bad files are zeros."""
    sizes: npt.NDArray[np.int64]
    """(files, 2): width and height in pixels."""
    modes: npt.NDArray[np.str_]
    """(files,): Pillow's."""
    formats: npt.NDArray[np.str_]
    """(files,): Pillow's."""
    values: npt.NDArray[np.float64]
    """(files, 2): lowest and highest value of a deep picture, NaN where it is none."""
    pages: npt.NDArray[np.bool_]
    """(files,): whether there are pages after the first."""
    halved: npt.NDArray[np.bool_]
    """(files,): whether it has colours of 16 bits, of which the upper 8 count."""
    window: npt.NDArray[np.float64]
    """(2,): the values of deep pictures that became black and white; NaN where there are none."""
    side: npt.NDArray[np.int64]
    """(1,): side of the gray squares to which files were brought first; 0 where they were not."""

    @property
    def scale(self) -> tuple[float, float] | None:
        """`window` as two numbers; None where there are no deep pictures, or they were scaled as `full` says."""
        return None if np.isnan(self.window[0]) else (float(self.window[0]), float(self.window[1]))

    @property
    def neutral_side(self) -> int | None:
        """`side` as a number; None where there is none."""
        return int(self.side[0]) or None

    @property
    def headers(self) -> Headers:
        """What their headers say."""
        return Headers(self.formats, self.modes, self.sizes)


def decode_files(root: Path, names: Sequence[str], how: Decoding) -> tuple[DecodedFiles, Mapping[str, str]]:
    """Decode `names` below `root`; also the reason for every file that could not be, by name."""
    count, shape, side = len(names), how.shape, _neutral_side(root, names, how)
    files = DecodedFiles(
        np.zeros((count, shape.channels, shape.height, shape.width), np.uint8),
        np.zeros((count, 2), np.int64),
        np.full(count, "", "<U8"),
        np.full(count, "", "<U8"),
        np.full((count, 2), np.nan),
        np.zeros(count, np.bool_),
        np.zeros(count, np.bool_),
        np.full(2, np.nan) if isinstance(how.window, str) else np.array(how.window, np.float64),
        np.array([side or 0], np.int64),
    )
    bad = _decode_into(files, root, dict(enumerate(names)), how, how.window)
    deep = {i: name for i, name in enumerate(names) if not np.isnan(files.values[i, 0])}
    if how.window == "auto" and deep:
        low, high = _scale(files, deep, how.scale_from)
        files.window[:] = low, high
        bad |= _decode_into(files, root, deep, how, (low, high))
    return files, bad


def _decode_into(
    files: DecodedFiles, root: Path, names: Mapping[int, str], how: Decoding, window: Window
) -> dict[str, str]:
    """Decode files into their places. Returns: why one could not be, by name."""
    bad: dict[str, str] = {}
    for i, name in names.items():
        try:
            one = _decoded(root / name, how, window, files.neutral_side)
        except UndecodableError as error:
            bad[name] = str(error)
        else:
            files.images[i], files.sizes[i], files.modes[i] = one.pixels, one.size, one.mode
            files.formats[i] = one.format
            files.values[i] = one.values or (np.nan, np.nan)
            files.pages[i], files.halved[i] = one.pages, one.halved
    return bad


def _scale(files: DecodedFiles, deep: Mapping[int, str], trained: frozenset[str]) -> tuple[float, float]:
    """From the lowest to the highest value of the deep pictures that are trained on; where none of these is deep, of all."""
    of_trained = [i for i, name in deep.items() if name in trained]
    values = files.values[of_trained or list(deep)]
    low, high = float(values[:, 0].min()), float(values[:, 1].max())
    return low, high if high > low else low + 1


def _neutral_side(root: Path, names: Sequence[str], how: Decoding) -> int | None:
    """The shortest side of all files that have a header, unless `how` knows a shorter one; None: nothing is neutral."""
    if not how.neutral:
        return None
    sides = [] if how.side is None else [how.side]
    for name in names:
        with suppress(UndecodableError, OSError), (root / name).open("rb") as stream:  # decoding names it
            sides.append(shortest_side(stream, how.max_pixels))
    return min(sides, default=how.shape.height)


def _decoded(path: Path, how: Decoding, window: Window, side: int | None) -> Decoded:
    try:
        with path.open("rb") as stream:
            return decode(stream, how.shape, how.max_pixels, window, side)
    except OSError as error:
        raise UndecodableError(f"cannot be read: {error.strerror}") from error


SMALL_PART = 0.25
"""Of a window: where all values are in less, they keep less than 64 of 256 levels."""


@dataclass(frozen=True)
class DeepFiles:
    """Pictures of more than 8 bits."""

    count: int
    """How many."""
    low: float
    """Their lowest value."""
    high: float
    """Their highest value."""
    window: tuple[float, float]
    """The values that became black and white."""

    @property
    def part(self) -> float:
        """The share of the window in which all values are."""
        low, high = self.window
        return max(0.0, min(self.high, high) - max(self.low, low)) / (high - low)


def deep_files(files: DecodedFiles) -> DeepFiles | None:
    """Of these files; None where there is none."""
    deep = files.values[~np.isnan(files.values[:, 0])]
    if not len(deep):
        return None
    low, high = FULL_RANGE if np.isnan(files.window[0]) else map(float, files.window)
    return DeepFiles(len(deep), float(deep[:, 0].min()), float(deep[:, 1].max()), (low, high))


def file_notes(files: DecodedFiles) -> tuple[str, ...]:
    """One line of each kind that there is."""
    notes = []
    if side := files.neutral_side:
        notes.append(
            f"every picture is its gray centre square, no sharper than {side} x {side} pixels (data.neutral)"
        )
    deep = deep_files(files)
    if deep is not None and deep.part < SMALL_PART:
        low, high = deep.window
        notes.append(
            f"the values of {counted(deep.count, 'deep picture')} lie from {deep.low:g} to {deep.high:g}, in {deep.part:.1%} of "
            f"{low:g} to {high:g}, so that little of them is kept; `data.window: auto` takes their own range"
        )
    if pages := int(files.pages.sum()):
        has = "has" if pages == 1 else "have"
        notes.append(f"{counted(pages, 'file')} {has} several pages, of which the first counts")
    if halved := int(files.halved.sum()):
        has = "has" if halved == 1 else "have"
        notes.append(f"{counted(halved, 'file')} {has} colours of 16 bits, of which the upper 8 count")
    return tuple(notes)
