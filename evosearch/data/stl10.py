"""STL-10 in its published layout, files of bytes.

Source: https://cs.stanford.edu/~acoates/stl10 (Coates, Lee, Ng, An Analysis of Single Layer Networks in Unsupervised Feature
Learning, AISTATS 2011). 5,000 training images of 96 x 96 pixels in colour, from which the validation split is cut, and 8,000
test images; the unlabelled ones are not used.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from evosearch.blueprint import ImageShape
from evosearch.data.downloading import Archive
from evosearch.data.gathering import Gathered, gather_stored
from evosearch.data.published import Layout, PublishedKeys, checked_labels, class_names, count_notes, records
from evosearch.data.settings import Places
from evosearch.data.stored import Pixels, Stored, in_chunks
from evosearch.errors import DataError

_SIDE = 96
_LAYOUT = Layout(
    "binary files",
    "stl10_binary",
    ("train_X.bin", "train_y.bin"),
    ("test_X.bin", "test_y.bin"),
    ("class_names.txt",),
)


@dataclass(frozen=True)
class Stl10Settings(PublishedKeys):
    """STL-10 as its makers publish it. Each field is a key under `data`."""

    name: Literal["stl10"] = "stl10"
    """Which source."""
    root: str = field(default="stl10", kw_only=True)
    """Folder that the archive was unpacked into, or the one that it unpacked to (stl10_binary); a relative one is looked for
    in `beside`, then in the working directory, under $EVOSEARCH_DATA, and under ./data."""

    default_image: ClassVar = ImageShape(3, _SIDE, _SIDE)
    title: ClassVar = "STL-10"
    archive: ClassVar = Archive(
        "https://cs.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
        "f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866",
        2_640_397_119,
        _LAYOUT.folder,
        _LAYOUT.files,
    )

    def read(self, places: Places) -> Gathered:
        """All images that have labels."""
        layout, folder, notes = self.find((_LAYOUT,), places)
        classes = class_names(folder / layout.others[0])
        train, test = (_stored(folder, names, classes) for names in (layout.train, layout.test))
        counts = count_notes(self.title, (len(train.labels), len(test.labels)), (5000, 8000))
        return gather_stored(self, {"train": train, "test": test}, classes, places, folder, (*notes, *counts))


def _stored(folder: Path, names: tuple[str, ...], classes: tuple[str, ...]) -> Stored:
    """Of a file of pixels and one of labels from 1; a picture's planes are written column by column."""
    values, numbers = (
        records(folder / name, size) for name, size in zip(names, (3 * _SIDE**2, 1), strict=True)
    )
    if len(values) != len(numbers):
        raise DataError(
            f"{str(folder / names[0])!r} has {len(values):,} images, {names[1]!r} beside it {len(numbers):,} labels: one is cut "
            "short; unpack the published archive again"
        )
    labels = checked_labels(numbers[:, 0].astype(np.int64) - 1, classes, folder / names[1])

    def chunks() -> Iterator[Pixels]:
        for some in in_chunks(values):
            yield some.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 3, 2, 1)

    return Stored(labels, chunks)
