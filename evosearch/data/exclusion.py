"""`data.exclude_twins`: what is in validation or test is not trained on."""

from dataclasses import replace

import numpy as np

from evosearch.data.folders import counted
from evosearch.data.gathering import Gathered
from evosearch.data.listing import SPLITS, require_every_class
from evosearch.data.settings import Places
from evosearch.data.sources import DataSettings
from evosearch.data.twins import comparable, digests_of, has_twin, small_copies

TWIN_FILES = "twins of validation or test"
"""What the files that train loses are called among those that are not used."""


def read_source(settings: DataSettings, places: Places) -> Gathered:
    """What `settings` read; where they say so, without twins.

    Raises as `DataSettings.read` does.
    """
    gathered = settings.read(places)
    return without_twins(gathered) if getattr(settings, "exclude_twins", False) else gathered


def without_twins(gathered: Gathered) -> Gathered:
    """Without the images of train that stand in validation or test too, equal or nearly so; a note says how many.

    Raises:
        DataError: a class has no image left in train.
    """
    train = gathered.arrays["train"]
    others = [gathered.arrays[split].images for split in SPLITS if split != "train"]
    kept_out = set(digests_of(others))
    left_out = np.array([digest in kept_out for digest in digests_of([train.images])], np.bool_)
    compared = comparable([train.images, *others])
    if compared:
        left_out |= has_twin(small_copies([train.images]), small_copies(others))
    listing, kept = gathered.listing, ~left_out
    items = tuple(item for item, keep in zip(listing.splits["train"], kept, strict=True) if keep)
    which = (
        "twins of images"
        if compared
        else "equal to images (near twins are not looked for among so many or so small)"
    )
    note = (
        f"{counted(int(left_out.sum()), 'image')} of train {'is' if left_out.sum() == 1 else 'are'} left out: {which} of "
        "validation or test (data.exclude_twins)"
    )
    names, ignored = set(listing.names), dict(listing.ignored)
    listing = replace(listing, splits={**listing.splits, "train": items}, notes=(*listing.notes, note))
    if unused := len(names.difference(listing.names)):
        ignored[TWIN_FILES] = unused
    listing = replace(listing, ignored=ignored)
    if not listing.bad:
        require_every_class(listing, gathered.root)
    headers = gathered.headers
    return replace(
        gathered,
        listing=listing,
        arrays={
            **gathered.arrays,
            "train": replace(train, images=train.images[kept], labels=train.labels[kept]),
        },
        headers=None if headers is None else {**headers, "train": headers["train"][kept]},
    )
