"""From settings to arrays: list the images, decode them, sort them into splits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from evosearch.data.arrays import Dataset, Split, content_key
from evosearch.data.cache import decode_cached
from evosearch.data.covid_ct import list_covid_ct
from evosearch.data.digits import read_digits
from evosearch.data.hygiene import examine
from evosearch.data.image_folder import list_image_folder
from evosearch.data.listing import SPLITS, Listing, SplitName, require_every_class, shortened
from evosearch.data.reading import DecodedFiles
from evosearch.data.settings import DataSettings, locate_root
from evosearch.errors import DataError
from evosearch.evaluation import Images


@dataclass(frozen=True, eq=False)
class Gathered:
    """Everything a source holds: the usable images of `listing` as `arrays`, and the lines about the others.

    `root` and `files` are None for a source without files.
    """

    listing: Listing
    arrays: Mapping[SplitName, Split]
    root: Path | None = None
    files: DecodedFiles | None = None


def load_dataset(
    settings: DataSettings, *, env: Mapping[str, str], cwd: Path, cache: Path | None, begun: bool = False
) -> Dataset:
    """All three splits as read-only uint8 arrays, decoded once and kept in the folder `cache` (None: not kept).

    `env` and `cwd` say where a relative root is looked for. `begun`: for a search that has begun, to which its data
    stay what they were: what only a new search is refused for is a note. Raises ConfigError where there is no such
    folder, DataError, carrying every bad file, where the images cannot be used.
    """
    gathered = gather(settings, env=env, cwd=cwd, cache=cache)
    listing, arrays = gathered.listing, gathered.arrays
    if listing.problems:
        raise DataError(
            f"bad files ({len(listing.problems)}) in {str(gathered.root)!r}: {shortened(listing.problems)}; "
            "remove or replace them (`evosearch data CONFIG` lists all)",
            listing.problems,
        )
    if listing.repeats and not begun:
        raise DataError(
            f"names that stand twice in a split list ({len(listing.repeats)}) in {str(gathered.root)!r}: "
            f"{shortened(listing.repeats)}; name each image once (`evosearch data CONFIG` lists all)",
            listing.repeats,
        )
    notes = (*listing.notes, *listing.repeats, *examine(listing, arrays).notes)
    key = content_key(tuple(arrays.values()), listing.classes)
    return Dataset(arrays["train"], arrays["validation"], arrays["test"], listing.classes, key, notes)


def gather(settings: DataSettings, *, env: Mapping[str, str], cwd: Path, cache: Path | None) -> Gathered:
    """List and decode; bad files end up in `listing.problems`, not in an exception. Otherwise as `load_dataset`."""
    if settings.root is None or settings.name == "digits":
        listing, images = read_digits(settings)
        return Gathered(listing, _arranged(listing, listing.names, images))
    root = locate_root(settings.root, env, cwd)
    listing = _listed(root, settings)
    files, bad = decode_cached(root, listing.names, settings.image, settings.max_image_pixels, cache)
    usable = _without(listing, bad)
    return Gathered(usable, _arranged(usable, listing.names, files.images), root, files)


def _listed(root: Path, settings: DataSettings) -> Listing:
    try:
        listing = list_covid_ct(root) if settings.name == "covid_ct" else list_image_folder(root, settings)
    except OSError as error:
        raise DataError(f"{error.filename!r} cannot be read: {error.strerror}") from error
    if not listing.problems:  # a missing image may be all that its class had
        require_every_class(listing)
    return listing


def _without(listing: Listing, bad: Mapping[str, str]) -> Listing:
    splits = {split: tuple(i for i in items if i.name not in bad) for split, items in listing.splits.items()}
    problems = tuple(f"{name!r} {reason}" for name, reason in bad.items())
    return replace(listing, splits=splits, problems=listing.problems + problems)


def _arranged(listing: Listing, names: tuple[str, ...], images: Images) -> Mapping[SplitName, Split]:
    """The splits of `listing`, out of `images` in the order of `names`."""
    position = {name: i for i, name in enumerate(names)}
    return {
        split: Split(
            images[np.array([position[item.name] for item in listing.splits[split]], np.int64)],
            np.array([item.label for item in listing.splits[split]], np.int64),
        )
        for split in SPLITS
    }
