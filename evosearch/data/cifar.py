"""CIFAR-10 and CIFAR-100 in their published layouts, the python version and the binary one; both give the same images.

Source: https://www.cs.toronto.edu/~kriz/cifar.html (Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009).
50,000 training images of 32 x 32 pixels in colour, from which the validation split is cut, and 10,000 test images.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from evosearch.blueprint import ImageShape
from evosearch.data.downloading import Archive
from evosearch.data.gathering import Gathered, gather_stored
from evosearch.data.published import (
    Layout,
    PublishedKeys,
    checked_labels,
    checked_names,
    class_names,
    count_notes,
    reading,
    records,
)
from evosearch.data.settings import Places
from evosearch.data.stored import Pixels, Stored, in_chunks
from evosearch.data.unpickling import UnreadablePickleError, as_text, load_plain
from evosearch.errors import DataError
from evosearch.evaluation import Labels

_VALUES = 3 * 32 * 32
_PUBLISHED = (50_000, 10_000)

_BINARY_10 = Layout(
    "binary version",
    "cifar-10-batches-bin",
    tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
    ("test_batch.bin",),
    ("batches.meta.txt",),
)
_PYTHON_10 = Layout(
    "python version",
    "cifar-10-batches-py",
    tuple(f"data_batch_{i}" for i in range(1, 6)),
    ("test_batch",),
    ("batches.meta",),
)
_BINARY_100 = Layout(
    "binary version",
    "cifar-100-binary",
    ("train.bin",),
    ("test.bin",),
    ("fine_label_names.txt", "coarse_label_names.txt"),
)
_PYTHON_100 = Layout("python version", "cifar-100-python", ("train",), ("test",), ("meta",))


class _Labels(NamedTuple):
    """Where the layouts have the labels and the names of the classes."""

    bytes_before: int
    """In a binary record, before the pixels."""
    byte: int
    """In a binary record: which of these is the label."""
    names_file: str
    """Of the binary version."""
    key: str
    """Of the labels in the python version."""
    names_key: str
    """Of the names in the python version's last file."""


@dataclass(frozen=True)
class Cifar10Settings(PublishedKeys):
    """CIFAR-10 as its makers publish it, the python or the binary version. Each field is a key under `data`."""

    name: Literal["cifar10"] = "cifar10"
    """Which source."""
    root: str = field(default="cifar10", kw_only=True)
    """Folder that the archive was unpacked into, or the one that it unpacked to (cifar-10-batches-bin or
    cifar-10-batches-py); a relative one is looked for in `beside`, then in the working directory, under $EVOSEARCH_DATA, and
    under ./data."""

    default_image: ClassVar = ImageShape(3, 32, 32)
    title: ClassVar = "CIFAR-10"
    archive: ClassVar = Archive(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        170_052_171,
        _BINARY_10.folder,
        _BINARY_10.files,
    )

    def read(self, places: Places) -> Gathered:
        """All of it."""
        where = _Labels(1, 0, "batches.meta.txt", "labels", "label_names")
        return _read(self, places, (_BINARY_10, _PYTHON_10), where)


@dataclass(frozen=True)
class Cifar100Settings(PublishedKeys):
    """CIFAR-100 as its makers publish it, the python or the binary version. Each field is a key under `data`."""

    name: Literal["cifar100"] = "cifar100"
    """Which source."""
    root: str = field(default="cifar100", kw_only=True)
    """Folder that the archive was unpacked into, or the one that it unpacked to (cifar-100-binary or cifar-100-python); a
    relative one is looked for in `beside`, then in the working directory, under $EVOSEARCH_DATA, and under ./data."""
    labels: Literal["fine", "coarse"] = "fine"
    """Which classes: the 100 fine ones, or the 20 coarse ones of five fine ones each."""

    default_image: ClassVar = ImageShape(3, 32, 32)
    title: ClassVar = "CIFAR-100"
    archive: ClassVar = Archive(
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        168_513_733,
        _BINARY_100.folder,
        _BINARY_100.files,
    )

    def read(self, places: Places) -> Gathered:
        """All of it."""
        which = self.labels
        byte = 1 if which == "fine" else 0
        where = _Labels(2, byte, f"{which}_label_names.txt", f"{which}_labels", f"{which}_label_names")
        return _read(self, places, (_BINARY_100, _PYTHON_100), where)


def _read(keys: PublishedKeys, places: Places, layouts: Sequence[Layout], where: _Labels) -> Gathered:
    layout, folder, notes = keys.find(layouts, places)
    if layout in (_PYTHON_10, _PYTHON_100):
        classes = _pickled_names(folder / layout.others[0], where.names_key)
        batches = [
            [_pickled(folder / name, where.key) for name in names] for names in (layout.train, layout.test)
        ]
    else:
        classes = class_names(folder / where.names_file)
        batches = [[_binary(folder / name, where) for name in names] for names in (layout.train, layout.test)]
    train, test = (
        _stored(some, classes, [folder / name for name in names])
        for some, names in zip(batches, (layout.train, layout.test), strict=True)
    )
    counts = count_notes(keys.title, (len(train.labels), len(test.labels)), _PUBLISHED)
    return gather_stored(keys, {"train": train, "test": test}, classes, places, folder, (*notes, *counts))


class _Batch(NamedTuple):
    labels: Labels
    values: npt.NDArray[np.uint8]
    """(N, 3072): a picture's red, then its green and its blue values, row by row."""


def _binary(path: Path, where: _Labels) -> _Batch:
    rows = records(path, where.bytes_before + _VALUES)
    return _Batch(rows[:, where.byte].astype(np.int64), rows[:, where.bytes_before :])


def _pickled(path: Path, key: str) -> _Batch:
    found = _load(path)
    for one in ("data", key):
        if one not in found:
            raise DataError(f"{str(path)!r} holds no {one!r}; unpack the published archive again")
    values, labels = found["data"], found[key]
    if not (isinstance(values, np.ndarray) and values.dtype == np.uint8 and values.shape[1:] == (_VALUES,)):
        raise DataError(
            f"{str(path)!r} holds no images of {_VALUES:,} values of one byte; unpack the published archive again"
        )
    if not (
        isinstance(labels, list) and len(labels) == len(values) and all(type(one) is int for one in labels)
    ):
        raise DataError(
            f"{str(path)!r} has not one label for each of {len(values):,} images; unpack the published archive again"
        )
    return _Batch(np.clip(np.array(labels, object), -1, 2**31).astype(np.int64), values)


def _pickled_names(path: Path, key: str) -> tuple[str, ...]:
    names = _load(path).get(key)
    try:
        return checked_names(list(map(as_text, names if isinstance(names, list) else [names])), path)
    except UnreadablePickleError as error:
        raise DataError(f"{str(path)!r} {error}; unpack the published archive again") from error


def _load(path: Path) -> dict[str, Any]:
    try:
        with reading(path), path.open("rb") as stream:
            return load_plain(stream)
    except UnreadablePickleError as error:
        raise DataError(f"{str(path)!r} {error}; unpack the published archive again") from error


def _stored(batches: Sequence[_Batch], classes: Sequence[str], paths: Sequence[Path]) -> Stored:
    for batch, path in zip(batches, paths, strict=True):
        checked_labels(batch.labels, classes, path)

    def chunks() -> Iterator[Pixels]:
        for batch in batches:
            for values in in_chunks(batch.values):
                yield values.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)

    return Stored(np.concatenate([batch.labels for batch in batches]), chunks)
