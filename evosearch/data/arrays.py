"""Images as every room sees them: uint8 arrays, decoded once, named by a content hash."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from evosearch.blueprint import ImageShape
from evosearch.data.headers import Headers
from evosearch.errors import DataError
from evosearch.evaluation import Images, Labels


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their classes; both are kept as read-only views."""

    images: Images
    """(N, C, H, W) uint8."""
    labels: Labels
    """(N,) int64: class numbers, from 0."""

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or str(self.images.dtype) != "uint8":
            raise DataError(f"images are (N, C, H, W) uint8, found {self.images.shape} {self.images.dtype}")
        if self.labels.shape != self.images.shape[:1] or str(self.labels.dtype) != "int64":
            raise DataError(f"labels are (N,) int64, found {self.labels.shape} {self.labels.dtype}")
        for name in ("images", "labels"):
            view = getattr(self, name).view()
            view.setflags(write=False)
            object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class SearchData:
    """What search workers get: no test images."""

    train: Split
    """What networks are trained on."""
    validation: Split
    """What fitness is measured on."""
    classes: tuple[str, ...]
    """Names of the classes, by number."""
    key: str
    """Content hash of all splits of the data set, the test split included."""
    positive: int = 1
    """Number of the class that F1 is of where there are two; it changes no training."""

    @property
    def image(self) -> ImageShape:
        """Shape of every image."""
        _, channels, height, width = self.train.images.shape
        return ImageShape(channels, height, width)


@dataclass(frozen=True, eq=False)
class Dataset:
    """All three splits."""

    train: Split
    """What networks are trained on."""
    validation: Split
    """What fitness is measured on."""
    test: Split
    """What only networks that are trained again may read, once each."""
    classes: tuple[str, ...]
    """Names of the classes, by number."""
    key: str
    """Content hash over the decoded arrays, labels and class names of all splits."""
    notes: tuple[str, ...] = ()
    """What was noticed while reading, one line each, for instance images that are in two splits."""
    window: tuple[float, float] | None = None
    """Values of deep pictures that became black and white; None: there are none such, or they were scaled as `full` says."""
    positive: int = 1
    """As in `SearchData`."""
    neutral_side: int | None = None
    """Side, in pixels, of the gray centre squares to which pictures were brought first; None: they were not."""
    test_parts: tuple[tuple[str, int], ...] = ()
    """Of a union: the name of each part and how many images of the test split are its, which come in this order; empty of
    other sources."""
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of the images of each split, in their order; empty where they have none."""
    headers: Mapping[str, Headers] | None = None
    """What the headers of each split's files say, in the order of its images; None: images are no files."""

    @cached_property
    def test_key(self) -> str:
        """Content hash of the class names and the test split alone: equal ones are the same images in the same order,
        however train and validation were cut.
        """
        return content_key((self.test,), self.classes)

    @property
    def largest_class(self) -> tuple[str, float]:
        """The class that most validation images are of, the first of equal ones, and their share of all: what an answer
        that is always the same reaches.
        """
        counts = np.bincount(self.validation.labels, minlength=len(self.classes))
        number = int(counts.argmax())
        return self.classes[number], float(counts[number] / counts.sum())

    def for_search(self) -> SearchData:
        """The train and validation splits only: the test split stays sealed."""
        return SearchData(self.train, self.validation, self.classes, self.key, self.positive)


def content_key(splits: Sequence[Split], classes: Sequence[str]) -> str:
    """20 hexadecimal digits over the class names and every split's images and labels, in their order."""
    digest = hashlib.sha256(repr(tuple(classes)).encode())
    for split in splits:
        digest.update(repr(split.images.shape).encode())
        digest.update(
            np.ascontiguousarray(split.images).reshape(-1).data
        )  # not copied: workers hash theirs too
        digest.update(split.labels.astype("<i8").tobytes())
    return digest.hexdigest()[:20]
