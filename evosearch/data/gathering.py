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
from evosearch.data.listing import (
    SPLITS,
    BadFile,
    Item,
    Listing,
    SplitName,
    Splits,
    cut_missing,
    require_every_class,
)
from evosearch.data.memory import check_memory
from evosearch.data.reading import DecodedFiles, Decoding, file_notes
from evosearch.data.settings import CutKeys, FileKeys, ImageKeys, Places, ValidationKeys, locate_root
from evosearch.data.stored import Stored, brought
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
    """Where the images are on the disk; None: nowhere."""
    files: DecodedFiles | None = None
    """What was read of each image file; None for a source without image files."""
    window: tuple[float, float] | None = None
    """As in `Dataset`."""
    neutral_side: int | None = None
    """As in `Dataset`."""
    test_parts: tuple[tuple[str, int], ...] = ()
    """As in `Dataset`."""
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
            window=self.window,
            neutral_side=self.neutral_side,
            test_parts=self.test_parts,
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
        require_every_class(listing, root)
    check_memory(len(listing.names), keys.image, places.memory)
    trained = frozenset(item.name for item in listing.splits["train"])
    how = Decoding(keys.image, keys.max_image_pixels, window, trained, keys.neutral, places.neutral_side)
    files, bad = decode_cached(root, listing.names, how, places.cache)
    usable = _without(listing, bad)
    usable = replace(usable, notes=(*usable.notes, *file_notes(files)))
    arrays, rows = _arranged(usable, listing.names, files.images), _rows(usable, listing.names)
    headers = {split: files.headers[rows[split]] for split in SPLITS}
    return Gathered(
        usable, arrays, root, files, window=files.scale, neutral_side=files.neutral_side, headers=headers
    )


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


def gather_stored(
    keys: ImageKeys,
    given: Mapping[SplitName, Stored],
    classes: Sequence[str],
    places: Places,
    root: Path,
    notes: tuple[str, ...] = (),
) -> Gathered:
    """Read published splits, bring their images to the configured shape, and cut the validation split where none is given.

    `keys`: a source without a validation split has `ValidationKeys`. Image k of a split is called `train/0000k`.

    Raises:
        CannotRunError: the images do not fit into memory.
        DataError: they are damaged, or a class has no image in a split.
    """
    names = {split: [f"{split}/{i:05}" for i in range(len(one.labels))] for split, one in given.items()}
    items = {
        split: tuple(Item(name, label) for name, label in zip(names[split], one.labels.tolist(), strict=True))
        for split, one in given.items()
    }
    listing = Listing(tuple(classes), _with_validation(items, keys), notes=notes)
    require_every_class(listing, root)
    check_memory(sum(map(len, names.values())), keys.image, places.memory)
    images = np.concatenate([brought(one, keys.image) for one in given.values()])
    every = tuple(name for split in given for name in names[split])
    return Gathered(listing, _arranged(listing, every, images), root)


def _with_validation(given: Mapping[SplitName, tuple[Item, ...]], keys: ImageKeys) -> Splits:
    if not isinstance(keys, ValidationKeys):
        return given
    return cut_missing(given, keys)


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
