"""Everything that a source holds: its images as arrays, sorted into splits, and what is wrong with the others."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evosearch.data.arrays import Dataset, Split
from evosearch.data.cache import decode_cached
from evosearch.data.decoding import Window
from evosearch.data.headers import Headers
from evosearch.data.listing import SPLITS, BadFile, Item, Listing, SplitName, cut_missing, require_every_class
from evosearch.data.memory import check_memory
from evosearch.data.reading import DecodedFiles, Decoding, file_notes
from evosearch.data.settings import CutKeys, FileKeys, Places, locate_root
from evosearch.errors import DataError
from evosearch.evaluation import Images, Labels


@dataclass(frozen=True, eq=False)
class Gathered:
    """The usable images of a source."""

    listing: Listing
    """The usable images, and lines about the others."""
    arrays: Mapping[SplitName, Split]
    """Their pixels and class numbers, by split."""
    root: Path | None = None
    """Folder of the files; None for a source without files."""
    files: DecodedFiles | None = None
    """What was read of each file; None for a source without files."""
    headers: Mapping[SplitName, Headers] | None = None
    """What the headers of the usable images' files say, in the order of `arrays`; None for a source without files."""

    def dataset(self, key: str) -> Dataset:
        """All three splits, whose content hash is `key`."""
        return Dataset(
            self.arrays["train"],
            self.arrays["validation"],
            self.arrays["test"],
            self.listing.classes,
            key,
            names={split: tuple(item.name for item in items) for split, items in self.listing.splits.items()},
            headers=None if self.headers is None else dict(self.headers.items()),
        )


def gather_files(
    keys: FileKeys, places: Places, list_files: Callable[[Path], Listing], window: Window = "full"
) -> Gathered:
    """Decode what `list_files` names below the root; bad files end up in `listing.bad`, not in an exception.
    `window`: for deep pictures.

    Raises:
        CannotRunError: the images do not fit into memory.
        ConfigError: there is no such folder.
        DataError: its layout cannot be understood, or a class is missing from a split.
    """
    root = locate_root(keys.root, keys.beside, places)
    try:
        listing = list_files(root)
    except OSError as error:
        raise DataError(f"{error.filename!r} cannot be read: {error.strerror}") from error
    if not listing.bad:  # a missing image may be all that its class had
        require_every_class(listing)
    check_memory(len(listing.names), keys.image, places.memory)
    trained = frozenset(item.name for item in listing.splits["train"])
    how = Decoding(keys.image, keys.max_image_pixels, window, trained)
    files, bad = decode_cached(root, listing.names, how, places.cache)
    usable = _without(listing, bad)
    usable = replace(usable, notes=(*usable.notes, *file_notes(files)))
    rows = _rows(usable, listing.names)
    headers = {split: files.headers[rows[split]] for split in SPLITS}
    return Gathered(usable, _arranged(usable, listing.names, files.images), root, files, headers)


def gather_arrays(
    keys: CutKeys, name: str, images: Images, labels: Labels, classes: Sequence[str]
) -> Gathered:
    """Cut all three splits of images (N, C, H, W) uint8 that are in memory; image k is called `name/000k`.

    Raises:
        DataError: a class has too few images to be in every split.
    """
    items = tuple(Item(f"{name}/{i:04}", int(label)) for i, label in enumerate(labels))
    listing = Listing(tuple(classes), cut_missing({"train": items}, keys))
    require_every_class(listing)
    return Gathered(listing, _arranged(listing, tuple(item.name for item in items), images))


def _without(listing: Listing, bad: Mapping[str, str]) -> Listing:
    splits = {split: tuple(i for i in items if i.name not in bad) for split, items in listing.splits.items()}
    files = tuple(_undecodable(name, reason) for name, reason in bad.items())
    return replace(listing, splits=splits, bad=listing.bad + files)


def _undecodable(name: str, reason: str) -> BadFile:
    """Apart from the reason (`is a decompression bomb`) what is true of this file only (`: 9 x 9 pixels`)."""
    kind = re.split(r" \((?!or )|[:;] ", reason, maxsplit=1)[0]
    return BadFile(name, kind, f"files, each of which {kind}", detail=reason[len(kind) :])


def _arranged(listing: Listing, names: tuple[str, ...], images: Images) -> Mapping[SplitName, Split]:
    """The splits of `listing`, out of `images` in the order of `names`."""
    return {
        split: Split(images[rows], np.array([item.label for item in listing.splits[split]], np.int64))
        for split, rows in _rows(listing, names).items()
    }


def _rows(listing: Listing, names: tuple[str, ...]) -> Mapping[SplitName, npt.NDArray[np.int64]]:
    """Where the images of each split are in `names`."""
    position = {name: i for i, name in enumerate(names)}
    return {
        split: np.array([position[item.name] for item in listing.splits[split]], np.int64) for split in SPLITS
    }
