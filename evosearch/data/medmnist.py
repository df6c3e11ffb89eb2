"""MedMNIST's sets, and whatever is laid out like them: one .npz file with images and labels of three splits.

Source: https://medmnist.com (Yang et al., MedMNIST v2, Scientific Data 2023): `train_images`, `train_labels`, and the same of
`val` and `test`. The file is never unpickled, and its images are read some at a time.
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.lib import format as npy

from evosearch.blueprint import ImageShape
from evosearch.data.gathering import Gathered, gather_stored
from evosearch.data.listing import SplitName
from evosearch.data.published import reading
from evosearch.data.settings import ImageKeys, Places, RootKeys, locate_file
from evosearch.data.stored import Pixels, Stored, rows_at_once
from evosearch.errors import ConfigError, DataError, EvosearchError
from evosearch.evaluation import Labels

_WORDS: dict[SplitName, str] = {"train": "train", "validation": "val", "test": "test"}
_AGAIN = "; fetch the file again"
_MOST_SIDE = 4096
_MOST_LABEL = 2**31 - 1


@dataclass(frozen=True)
class MedMnistSettings(RootKeys, ImageKeys):
    """A set of MedMNIST, or one laid out like it: one .npz file that has all three splits. Each field is a key under `data`."""

    name: Literal["medmnist"] = "medmnist"
    """Which source."""
    root: str = field(kw_only=True)
    """The .npz file, for instance pneumoniamnist.npz; a relative one is looked for in `beside`, then in the working directory,
    under $EVOSEARCH_DATA, and under ./data. Arrays in it: train_images, val_images, test_images, (N, H, W) or (N, H, W, 3)
    uint8, and train_labels, val_labels, test_labels, (N,) or (N, 1) whole numbers from 0."""
    classes: tuple[str, ...] | None = None
    """Names of the classes by number, which the file does not hold: [normal, pneumonia]. null: 0, 1, …"""

    default_image: ClassVar = ImageShape(3, 28, 28)

    def __post_init__(self) -> None:
        super().__post_init__()
        names = self.classes
        if names is not None and (
            len(names) < 2 or len(set(names)) < len(names) or not all(map(str.strip, names))
        ):
            raise ConfigError(
                f"data.classes is {list(names)}; give at least two names, all different and none empty, or leave the key out"
            )

    def read(self, places: Places) -> Gathered:
        """All of the file."""
        path = locate_file(self.root, self.beside, places, ".npz")
        with _judged(path):
            file = zipfile.ZipFile(path)
        with file:
            with _judged(path):
                arrays = _Arrays(path, file)
                given = {split: arrays.split(word) for split, word in _WORDS.items()}
                arrays.require_one_shape()
            labels = {word: given[split].labels for split, word in _WORDS.items()}
            return gather_stored(self, given, _classes(path, labels, self.classes), places, path)


@contextmanager
def _judged(path: Path) -> Iterator[None]:
    """Whatever is raised while a file is read becomes one line that names it."""
    try:
        with reading(path):
            yield
    except EvosearchError:
        raise
    except Exception as error:  # a damaged or hostile archive raises almost anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{str(path)!r} is no .npz file, or is damaged ({reason}){_AGAIN}") from error


class _Header(NamedTuple):
    shape: tuple[int, ...]
    by_columns: bool
    dtype: "np.dtype[np.generic]"


@dataclass(frozen=True)
class _Arrays:
    """The arrays of an open .npz, of which only headers are read before they are judged."""

    path: Path
    file: zipfile.ZipFile

    def require_one_shape(self) -> None:
        """Raise DataError unless the pictures of all splits have one shape: those of two sources would tell splits apart."""
        first, *others = ((word, self._header(f"{word}_images")) for word in _WORDS.values())
        for word, header in others:
            if header.shape[1:] != first[1].shape[1:]:
                raise self._wrong(
                    f"{word}_images",
                    header,
                    f"pictures of one shape with {first[0]}_images, {first[1].shape[1:]}",
                )

    def split(self, word: str) -> Stored:
        """Images and labels of a split.

        Raises:
            DataError: they are missing or of another form.
        """
        images, labels = (self._header(f"{word}_{what}") for what in ("images", "labels"))
        colour = images.shape[3:] in ((), (3,)) and len(images.shape) in (3, 4)
        if not colour or images.dtype != np.uint8 or images.by_columns:
            raise self._wrong(
                f"{word}_images", images, "(N, height, width) or (N, height, width, 3) of uint8, row by row"
            )
        if not all(1 <= side <= _MOST_SIDE for side in images.shape[1:3]):
            raise self._wrong(f"{word}_images", images, f"sides of 1 to {_MOST_SIDE} pixels")
        if len(labels.shape) == 2 and labels.shape[1] > 1:
            raise DataError(
                f"{str(self.path)!r} has {labels.shape[1]} labels for each image in {word}_labels; a network here says one class "
                "of each image: take a set of one label"
            )
        if labels.dtype.kind not in "iu" or labels.shape not in (images.shape[:1], (*images.shape[:1], 1)):
            raise self._wrong(
                f"{word}_labels", labels, f"one whole number for each of {images.shape[0]:,} images"
            )
        return Stored(self._labels(f"{word}_labels"), lambda: self._chunks(f"{word}_images", images))

    def _labels(self, name: str) -> Labels:
        with self._open(name) as stream:
            values = np.asarray(npy.read_array(stream, allow_pickle=False)).reshape(-1)
        wrong = values[(values < 0) | (values > _MOST_LABEL)]
        if len(wrong):
            raise DataError(
                f"{str(self.path)!r} has the label {int(wrong[0])} in {name}; classes are numbered from 0"
            )
        return values.astype(np.int64)

    def _chunks(self, name: str, header: _Header) -> Iterator[Pixels]:
        count, *row = header.shape
        size = int(np.prod(row))
        rows = rows_at_once(size)
        with _judged(self.path), self._open(name) as stream:
            _read_header(stream)
            for start in range(0, count, rows):
                wanted = min(rows, count - start)
                content = stream.read(wanted * size)
                if len(content) < wanted * size:
                    raise DataError(
                        f"{str(self.path)!r} is cut short: {name} ends before its {count:,} images do{_AGAIN}"
                    )
                yield np.frombuffer(content, np.uint8).reshape(wanted, *row)
            stream.read(1)  # the end, where the archive checks its sum

    def _header(self, name: str) -> _Header:
        with self._open(name) as stream:
            header = _read_header(stream)
        if header.dtype.hasobject:
            raise DataError(
                f"{str(self.path)!r} holds pickled objects in {name}, which are never read: they may run anything; save it as "
                "an array of whole numbers"
            )
        return header

    def _open(self, name: str) -> IO[bytes]:
        try:
            return self.file.open(f"{name}.npy")
        except KeyError:
            held = [one.removesuffix(".npy") for one in self.file.namelist()]
            words = ", ".join(held[:8]) + (", …" if len(held) > 8 else "")
            raise DataError(
                f"{str(self.path)!r} has no array {name} (it has {words or 'none'}); it needs images and labels of train, val "
                "and test"
            ) from None

    def _wrong(self, name: str, found: _Header, wanted: str) -> DataError:
        order = ", column by column" if found.by_columns and len(found.shape) > 1 else ""
        return DataError(
            f"{str(self.path)!r} has {name} of shape {found.shape} and type {found.dtype}{order}; expected {wanted}"
        )


def _read_header(stream: IO[bytes]) -> _Header:
    """Of the .npy format (numpy.lib.format); versions 1 and 2."""
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    return _Header(*read(stream))


def _classes(path: Path, labels: dict[str, Labels], names: tuple[str, ...] | None) -> tuple[str, ...]:
    """The classes' names: those that are given, else their numbers.

    Raises:
        DataError: labels are beyond the names, or a number in between has no image.
    """
    if names is not None:
        for word, some in labels.items():
            if len(wrong := some[some >= len(names)]):
                raise DataError(
                    f"{str(path)!r} has the label {int(wrong[0])} in {word}_labels; classes are numbered from 0, and data.classes "
                    f"names {len(names)}"
                )
        return names
    found = np.unique(np.concatenate(list(labels.values())))
    absent = next((number for number, label in enumerate(found) if number != label), None)
    if absent is not None:
        raise DataError(
            f"{str(path)!r} has labels up to {int(found[-1])}, but no image of class {absent}; number the classes from 0 without "
            "gaps"
        )
    return tuple(map(str, range(len(found))))
