"""Many image files to one array, naming every file that cannot be used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evosearch.blueprint import ImageShape
from evosearch.data.decoding import Decoded, UndecodableError, decode
from evosearch.evaluation import Images


@dataclass(frozen=True, eq=False)
class DecodedFiles:
    """Images (files, C, H, W) in the order of the names asked for; and, of each file before any change,
    `sizes` (files, 2) int64 as width and height in pixels, and Pillow's `modes` (files,). Bad files are zeros.
    """

    images: Images
    sizes: npt.NDArray[np.int64]
    modes: npt.NDArray[np.str_]


def decode_files(
    root: Path, names: Sequence[str], shape: ImageShape, max_pixels: int
) -> tuple[DecodedFiles, Mapping[str, str]]:
    """Decode `names` below `root`; also the reason for every file that could not be, by name."""
    images = np.zeros((len(names), shape.channels, shape.height, shape.width), np.uint8)
    sizes = np.zeros((len(names), 2), np.int64)
    modes = np.full(len(names), "", "<U8")
    bad: dict[str, str] = {}
    for i, name in enumerate(names):
        try:
            file = _decoded(root / name, shape, max_pixels)
        except UndecodableError as error:
            bad[name] = str(error)
        else:
            images[i], sizes[i], modes[i] = file.pixels, file.size, file.mode
    return DecodedFiles(images, sizes, modes), bad


def _decoded(path: Path, shape: ImageShape, max_pixels: int) -> Decoded:
    try:
        with path.open("rb") as stream:
            return decode(stream, shape, max_pixels)
    except OSError as error:
        raise UndecodableError(f"cannot be read: {error.strerror}") from error
