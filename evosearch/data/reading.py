"""Many image files to one array, naming every file that cannot be used."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

from evosearch.blueprint import ImageShape
from evosearch.data.decoding import UndecodableError, Window, decode, measure
from evosearch.evaluation import Images

Read = TypeVar("Read")


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


@dataclass(frozen=True, eq=False)
class DecodedFiles:
    """Images (files, C, H, W) in the order of the names asked for, and of each file before any change what follows. Bad
    files are zeros.
    """

    images: Images
    sizes: npt.NDArray[np.int64]
    """(files, 2): width and height in pixels."""
    modes: npt.NDArray[np.str_]
    """(files,): Pillow's."""
    values: npt.NDArray[np.float64]
    """(files, 2): lowest and highest value of a deep picture, NaN where it is none."""
    pages: npt.NDArray[np.bool_]
    """(files,): whether there are pages after the first."""
    halved: npt.NDArray[np.bool_]
    """(files,): whether it has colours of 16 bits, of which the upper 8 count."""
    window: npt.NDArray[np.float64]
    """(2,): the values of deep pictures that became black and white; NaN where there are none."""


def decode_files(root: Path, names: Sequence[str], how: Decoding) -> tuple[DecodedFiles, Mapping[str, str]]:
    """Decode `names` below `root`; also the reason for every file that could not be, by name."""
    count, shape = len(names), how.shape
    window = _window(root, names, how)
    files = DecodedFiles(
        np.zeros((count, shape.channels, shape.height, shape.width), np.uint8),
        np.zeros((count, 2), np.int64),
        np.full(count, "", "<U8"),
        np.full((count, 2), np.nan),
        np.zeros(count, np.bool_),
        np.zeros(count, np.bool_),
        np.array(window or (np.nan, np.nan), np.float64),
    )
    bad: dict[str, str] = {}
    for i, name in enumerate(names):
        try:
            one = _read(root / name, lambda stream: decode(stream, shape, how.max_pixels, window))
        except UndecodableError as error:
            bad[name] = str(error)
        else:
            files.images[i], files.sizes[i], files.modes[i] = one.pixels, one.size, one.mode
            files.values[i] = one.values or (np.nan, np.nan)
            files.pages[i], files.halved[i] = one.pages, one.halved
    return files, bad


def _window(root: Path, names: Sequence[str], how: Decoding) -> tuple[float, float] | None:
    """The window in numbers; None: `full`, or `auto` where no picture is deep."""
    if how.window != "auto":
        return None if how.window == "full" else how.window
    trained = _ranges(root, [name for name in names if name in how.scale_from], how.max_pixels)
    # where no picture of train is deep, those are taken that are
    ranges = trained or _ranges(root, names, how.max_pixels)
    if not ranges:
        return None
    low, high = min(one for one, _ in ranges), max(one for _, one in ranges)
    return low, high if high > low else low + 1


def _ranges(root: Path, names: Collection[str], max_pixels: int) -> list[tuple[float, float]]:
    found = []
    for name in names:
        try:
            values = _read(root / name, lambda stream: measure(stream, max_pixels))
        except UndecodableError:  # which is said when it is decoded
            continue
        found += [values] if values is not None else []
    return found


def _read(path: Path, read: Callable[[BinaryIO], Read]) -> Read:
    try:
        with path.open("rb") as stream:
            return read(stream)
    except OSError as error:
        raise UndecodableError(f"cannot be read: {error.strerror}") from error
