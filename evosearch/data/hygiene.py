"""Images that stand in two splits: they make validation or test look better than it is."""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from evosearch.data.arrays import Split
from evosearch.data.listing import SPLITS, Item, SplitName, Splits


class Duplicate(NamedTuple):
    """The image `name` of `split` has the very pixels of `other_name` in the later split `other_split`."""

    split: SplitName
    name: str
    other_split: SplitName
    other_name: str


def find_duplicates(items: Splits, arrays: Mapping[SplitName, Split]) -> tuple[Duplicate, ...]:
    """One entry for each image and each earlier split that holds the same decoded pixels (its first such image).

    Files with the same bytes decode to the same pixels, so that copies of files are found too.
    """
    first: dict[SplitName, dict[bytes, Item]] = {split: {} for split in SPLITS}
    duplicates: list[Duplicate] = []
    for position, split in enumerate(SPLITS):
        for item, image in zip(items[split], arrays[split].images, strict=True):
            digest = hashlib.sha256(image.tobytes()).digest()
            first[split].setdefault(digest, item)
            duplicates.extend(
                Duplicate(earlier, first[earlier][digest].name, split, item.name)
                for earlier in SPLITS[:position]
                if digest in first[earlier]
            )
    return tuple(duplicates)


def duplicate_notes(duplicates: tuple[Duplicate, ...]) -> tuple[str, ...]:
    """One line for a person, or none."""
    if not duplicates:
        return ()
    one = duplicates[0]
    return (
        f"{len(duplicates)} images stand in two splits, first {one.name!r} of {one.split} as "
        f"{one.other_name!r} of {one.other_split}; accuracy on them shows memory, not skill",
    )
