"""What a source names before any pixel is decoded: the classes, and which image is in which split."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """The images of a source in a fixed order that does not depend on the file system."""

    classes: tuple[str, ...]
    """Their names; the place of each is its number."""
    splits: Splits
    """What is where."""
    problems: tuple[str, ...] = ()
    """Files that cannot be used, one line each."""
    notes: tuple[str, ...] = ()
    """What was passed over, and what else is worth a word."""
    repeats: tuple[str, ...] = ()
    """What a split list names twice, one line each; it is there twice, as it always was, and no new search begins
    with it."""
    objections: tuple[str, ...] = ()
    """Why else no new search begins with these data, one line each; one that was begun goes on with a note."""
    refused: int = 0
    """How many files cannot be used."""
    ignored: Mapping[str, int] = field(default_factory=dict)
    """How many files are passed over, by kind."""
    groups: Mapping[str, str] | None = None
    """The group of each image by its name; None: there are no groups."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every image once, by name, whatever splits it is in."""
        return tuple(sorted({item.name for items in self.splits.values() for item in items}))


def require_every_class(listing: Listing) -> None:
    """Raise DataError unless there are two classes and each has an image in every split."""
    if len(listing.classes) < 2:
        raise DataError(
            f"only one class ({listing.classes[0]!r}) was found; a classifier needs at least two class folders"
            if listing.classes
            else "no class was found; put the images of each class into a folder of its own"
        )
    lacking = []
    for label, name in enumerate(listing.classes):
        counts = {split: sum(item.label == label for item in listing.splits[split]) for split in SPLITS}
        if empty := [split for split, count in counts.items() if not count]:
            images = sum(counts.values())
            noun = "image" if images == 1 else "images"
            lacking.append(f"class {name!r} has {images} {noun}, none of them in {' and '.join(empty)}")
    if lacking:
        needed = "an image of every class" if listing.groups is None else "a group of every class"
        raise DataError(
            f"{shortened(tuple(lacking))}; every split needs at least {needed}: add images", tuple(lacking)
        )


def shortened(lines: tuple[str, ...], shown: int = 3) -> str:
    """The first few of `lines` in one, saying how many more there are."""
    more = f"; and {len(lines) - shown} more" if len(lines) > shown else ""
    return "; ".join(lines[:shown]) + more
