"""Data sets in the layouts in which their makers publish them: which layout is there, and fetching where none is."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from evosearch.data.downloading import Archive, fetch_archive
from evosearch.data.settings import Places, RootKeys, ValidationKeys, locate_root, storage_place
from evosearch.errors import ConfigError, DataError
from evosearch.evaluation import Labels


@dataclass(frozen=True)
class Layout:
    """Files of a published set, all in one folder."""

    words: str
    """What it is called."""
    folder: str
    """Which its archive unpacks to."""
    train: tuple[str, ...]
    """Names of the files of the training images, in order."""
    test: tuple[str, ...]
    """The same of the test images."""
    others: tuple[str, ...] = ()
    """The other files that are read."""

    @property
    def files(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.train, *self.test, *self.others)

    def missing(self, folder: Path) -> tuple[str, ...]:
        """Names of those that are not in `folder`."""
        return tuple(name for name in self.files if not (folder / name).is_file())


@dataclass(frozen=True)
class PublishedKeys(ValidationKeys, RootKeys):
    """Of a source in its published layout, without a validation split."""

    download: bool = False
    """Whether the archive is fetched from where its makers publish it, if it is not there: into the root, a relative one
    under $EVOSEARCH_DATA, else under ./data; and checked. false: never."""

    title: ClassVar = ""
    """What the set is called."""
    archive: ClassVar[Archive]
    """What is fetched."""

    def find(self, layouts: Sequence[Layout], places: Places) -> tuple[Layout, Path, tuple[str, ...]]:
        """The first of `layouts` that is there, the folder of its files, and a note where it was fetched now.

        Raises:
            CannotRunError: it cannot be fetched.
            ConfigError: there is no root.
            DataError: none of the layouts is whole there, and none is to be fetched.
        """
        try:
            root = locate_root(
                self.root, self.beside, places, repair=", or have it fetched by data.download: true"
            )
        except ConfigError:
            if not self.download:
                raise
            root = storage_place(self.root, places)
        found = find_layout(root, layouts)
        if found is not None:
            return *found, ()
        if not self.download or any((root / one.folder).exists() for one in layouts):
            raise _no_layout(self.title, root, layouts)
        folder = fetch_archive(self.archive, root)
        layout = next(one for one in layouts if one.folder == self.archive.folder)
        return layout, folder.resolve(), (f"fetched {self.archive.url} into {str(folder)!r}",)


def find_layout(root: Path, layouts: Sequence[Layout]) -> tuple[Layout, Path] | None:
    """The first layout whose files are all in `root`, or in its own folder in `root`; None: none is whole."""
    for layout in layouts:
        for folder in (root / layout.folder, root):
            if not layout.missing(folder):
                return layout, folder
    return None


def _no_layout(title: str, root: Path, layouts: Sequence[Layout]) -> DataError:
    """Names what is missing of the layout that most is there of."""
    kept = [
        (len(one.files) - len(one.missing(folder)), one, folder)
        for one in layouts
        for folder in (root / one.folder, root)
    ]
    most, layout, folder = max(kept, key=lambda one: one[0])
    if most:
        missing = layout.missing(folder)
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return DataError(
            f"{str(folder)!r} lacks {missing[0]!r}{more} of {title}'s {layout.words}; unpack the whole archive, or remove that "
            "folder and have it fetched by data.download: true"
        )
    wanted = " or ".join(f"{one.folder}/ ({one.words}: {', '.join(one.files[:2])}, …)" for one in layouts)
    return DataError(
        f"{str(root)!r} does not hold {title}: it needs {wanted}; unpack the published archive there, or have it fetched by "
        "data.download: true"
    )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What the system refuses becomes one line that names the file."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error


def records(path: Path, size: int) -> npt.NDArray[np.uint8]:
    """A file of records of `size` bytes each, mapped, not read: (records, size).

    Raises:
        DataError: it is empty, cut short, or cannot be read.
    """
    with reading(path):
        length = path.stat().st_size
        if not length:
            raise DataError(f"{str(path)!r} is empty; unpack the published archive again")
        if length % size:
            raise DataError(
                f"{str(path)!r} has {length:,} bytes, which are no whole images of {size:,}: it is cut short or damaged; unpack "
                "the published archive again"
            )
        return np.memmap(path, np.uint8, "r").reshape(-1, size)


def class_names(path: Path) -> tuple[str, ...]:
    """One name a line, as published; empty lines are passed over. Raises DataError as `checked_names`."""
    with reading(path):
        lines = path.read_text("utf-8", errors="replace").splitlines()
    return checked_names([line.strip() for line in lines if line.strip()], path)


def checked_names(names: Sequence[str], path: Path) -> tuple[str, ...]:
    """The names of classes themselves.

    Raises:
        DataError: two classes have one name, or there is none.
    """
    if not names:
        raise DataError(f"{str(path)!r} names no class; unpack the published archive again")
    twice = next((one for at, one in enumerate(names) if one in names[:at]), None)
    if twice is not None:
        raise DataError(f"{str(path)!r} names two classes {twice!r}; unpack the published archive again")
    return tuple(names)


def checked_labels(labels: Labels, classes: Sequence[str], path: Path) -> Labels:
    """The labels themselves.

    Raises:
        DataError: one is not the number of a class.
    """
    wrong = labels[(labels < 0) | (labels >= len(classes))]
    if len(wrong):
        raise DataError(
            f"{str(path)!r} has the label {int(wrong[0])}, but there are {len(classes)} classes, 0 to {len(classes) - 1}; unpack "
            "the published archive again"
        )
    return labels


def count_notes(title: str, found: tuple[int, int], published: tuple[int, int]) -> tuple[str, ...]:
    """A line where there are not as many training and test images as published."""
    if found == published:
        return ()
    return (
        f"{found[0]:,} training and {found[1]:,} test images, but {title} has {published[0]:,} and {published[1]:,}: this is "
        "a part of it",
    )
