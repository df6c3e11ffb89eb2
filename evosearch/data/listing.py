"""What a source names before any pixel is decoded: the classes, and which image stands in which split."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evosearch.errors import DataError

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Item:
    """One image: its path below the root, with forward slashes, and its class number."""

    name: str
    label: int


Splits: TypeAlias = Mapping[SplitName, tuple[Item, ...]]


@dataclass(frozen=True)
class Listing:
    """The images of a source in a fixed order that does not depend on the file system.

    `problems`: files that cannot be used, one line each. `notes`: what was passed over. `repeats`: what a split list
    names twice, one line each; it stands there twice, as it always has, and no new search begins with it.
    """

    classes: tuple[str, ...]
    splits: Splits
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    repeats: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every image once, by name, whatever splits it stands in."""
        return tuple(sorted({item.name for items in self.splits.values() for item in items}))


def require_every_class(listing: Listing) -> None:
    """Raise DataError unless there are two classes and each has an image in every split."""
    if len(listing.classes) < 2:
        raise DataError(
            f"only one class ({listing.classes[0]!r}) was found; a classifier needs at least two class folders"
            if listing.classes
            else "no class was found; put the images of each class into a folder of its own"
        )
    for label, name in enumerate(listing.classes):
        counts = {split: sum(item.label == label for item in listing.splits[split]) for split in SPLITS}
        empty = [split for split, count in counts.items() if not count]
        if empty:
            raise DataError(
                f"class {name!r} has {sum(counts.values())} images, none of them in {' and '.join(empty)}; "
                "every split needs at least one of every class: add images"
            )


def shortened(lines: tuple[str, ...], shown: int = 3) -> str:
    """The first few of `lines` in one, saying how many more there are."""
    more = f"; and {len(lines) - shown} more" if len(lines) > shown else ""
    return "; ".join(lines[:shown]) + more
