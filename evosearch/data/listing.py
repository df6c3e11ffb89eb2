"""Which images there are, of which class, in which split, and how missing splits are cut."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from evosearch.data.settings import CutKeys, ValidationKeys
from evosearch.errors import DataError

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Item:
    """One image of a source."""

    name: str
    """Its path below the root, with forward slashes."""
    label: int
    """Its class number."""


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file that cannot be used, or that a split list names and that is not there."""

    name: str
    """Its path below the root; of one that is not there, the split list's."""
    reason: str
    """What is wrong, in words that follow the name."""
    many: str
    """The same of several, in words that follow their number."""
    repair: str = ""
    """What makes it usable; empty: it is removed or replaced."""
    detail: str = ""
    """What follows the reason and is of this file only."""
    there: bool = True
    """Whether there is such a file."""

    def __str__(self) -> str:
        """For a person, in one line."""
        return f"{self.said}{f'; {self.repair}' if self.repair else ''}"

    @property
    def said(self) -> str:
        """What is wrong, without the repair."""
        return f"{self.name!r} {self.reason}{self.detail}"


MOST_NAMED = 3
"""So many bad files of a kind are named one by one."""


def by_kind(bad: Sequence[BadFile], *, repaired: bool = True) -> tuple[str, ...]:
    """A line for each file of a kind that few are of; else one for all of the kind, with their number and the first.

    `repaired`: with what makes them usable.
    """
    kinds: dict[str, list[BadFile]] = {}
    for one in bad:
        kinds.setdefault(one.many, []).append(one)
    lines: list[str] = []
    for many, files in kinds.items():
        if len(files) <= MOST_NAMED:
            lines += [str(one) if repaired else one.said for one in files]
        else:
            repair = f"; {files[0].repair}" if repaired and files[0].repair else ""
            lines.append(f"{len(files):,} {many}, first {files[0].name!r}{files[0].detail}{repair}")
    return tuple(lines)


def repairs(bad: Sequence[BadFile]) -> str:
    """What to do about them, each thing once."""
    steps = list(dict.fromkeys(one.repair for one in bad if one.repair))
    if not all(one.there for one in bad):
        steps.append("add what is missing, or take its lines out of the split lists")
    if others := sum(one.there and not one.repair for one in bad):
        steps.append(f"remove or replace {'the others' if steps else 'it' if others == 1 else 'them'}")
    return "; ".join(steps)


Splits: TypeAlias = Mapping[SplitName, tuple[Item, ...]]


@dataclass(frozen=True)
class Listing:
    """The images of a source in a fixed order that does not depend on the file system."""

    classes: tuple[str, ...]
    """Their names; the place of each is its number."""
    splits: Splits
    """What is where."""
    bad: tuple[BadFile, ...] = ()
    """Files that cannot be used, and those that are missing."""
    notes: tuple[str, ...] = ()
    """What was passed over, and what else is worth a word."""
    repeats: tuple[str, ...] = ()
    """What a split list names twice, one line each; it is there twice, as it always was, and no new search begins
    with it."""
    objections: tuple[str, ...] = ()
    """Why else no new search begins with these data, one line each; one that was begun goes on with a note."""
    ignored: Mapping[str, int] = field(default_factory=dict)
    """How many files are passed over, by kind."""
    groups: Mapping[str, str] | None = None
    """The group of each image by its name; None: there are no groups."""

    @property
    def problems(self) -> tuple[str, ...]:
        """The bad files, one line each."""
        return tuple(map(str, self.bad))

    @property
    def refused(self) -> int:
        """How many files cannot be used; those that are missing are none."""
        return sum(one.there for one in self.bad)

    @property
    def names(self) -> tuple[str, ...]:
        """Every image once, by name, whatever splits it is in."""
        return tuple(sorted({item.name for items in self.splits.values() for item in items}))


def require_every_class(listing: Listing, root: Path | None = None) -> None:
    """Raise DataError unless there are two classes and each has an image in every split. `root`: where the images are."""
    where = "" if root is None else f" in {str(root)!r}"
    if len(listing.classes) < 2:
        raise DataError(
            f"only one class ({listing.classes[0]!r}) was found{where}; a classifier needs at least two: add images of another "
            "one (where classes are folders, in its own)"
            if listing.classes
            else f"no class was found{where}; put the images of each class into a folder of its own"
        )
    lacking = []
    labels = {split: Counter(item.label for item in listing.splits[split]) for split in SPLITS}
    for label, name in enumerate(listing.classes):
        counts = {split: labels[split][label] for split in SPLITS}
        if empty := [split for split, count in counts.items() if not count]:
            images = sum(counts.values())
            noun = "image" if images == 1 else "images"
            lacking.append(f"class {name!r} has {images} {noun}, none of them in {' and '.join(empty)}")
    if lacking:
        needed = "an image of every class" if listing.groups is None else "a group of every class"
        raise DataError(
            f"{shortened(tuple(lacking))}; every split needs at least {needed}: add images{where}",
            tuple(lacking),
        )


def shortened(lines: tuple[str, ...], shown: int = 3) -> str:
    """The first few of `lines` in one, saying how many more there are."""
    more = f"; and {len(lines) - shown} more" if len(lines) > shown else ""
    return "; ".join(lines[:shown]) + more


_PURPOSE = {"test": 1, "validation": 2}


def cut_missing(
    given: Mapping[SplitName, tuple[Item, ...]],
    settings: ValidationKeys,
    groups: Mapping[str, str] | None = None,
) -> Splits:
    """Add the missing splits by cutting them from `given["train"]`; what is given stays as it is, a test split always where
    `settings` are no `CutKeys`.

    Test takes `test_fraction` of the training images, then validation `validation_fraction` of the rest. `groups`: of each
    image by its name; a group is cut off as a whole, or not at all. None: every image by itself.
    """
    splits = dict(given)
    fractions: dict[SplitName, float] = (
        {"test": settings.test_fraction} if isinstance(settings, CutKeys) else {}
    )
    fractions["validation"] = settings.validation_fraction
    for split, fraction in fractions.items():
        if split not in splits:
            items = splits["train"]
            if groups is None:
                chosen = _images(items, split, fraction, settings)
            else:
                later = sum(other not in splits for other in fractions) - 1
                chosen = _groups(items, split, fraction, settings, groups, later)
            splits["train"] = tuple(item for item in items if item not in chosen)
            splits[split] = tuple(item for item in items if item in chosen)
    return splits


def torn_groups(splits: Splits, groups: Mapping[str, str]) -> tuple[str, ...]:
    """Groups that are in more than one split, a line each."""
    places: dict[str, list[SplitName]] = {}
    for split in SPLITS:
        for group in dict.fromkeys(groups[item.name] for item in splits[split]):
            places.setdefault(group, []).append(split)
    return tuple(
        f"{group!r} in {' and '.join(found)}" for group, found in sorted(places.items()) if len(found) > 1
    )


def _images(
    items: tuple[Item, ...], purpose: SplitName, fraction: float, settings: ValidationKeys
) -> frozenset[Item]:
    """Every class is drawn from a stream of its own."""
    chosen: set[Item] = set()
    for label in sorted({item.label for item in items}):
        members = [item for item in items if item.label == label]
        rng = np.random.default_rng([settings.split_seed, _PURPOSE[purpose], label])
        chosen.update(members[i] for i in rng.permutation(len(members))[: _share(fraction, len(members))])
    return frozenset(chosen)


def _groups(
    items: tuple[Item, ...],
    purpose: SplitName,
    fraction: float,
    settings: ValidationKeys,
    groups: Mapping[str, str],
    later: int,
) -> frozenset[Item]:
    """Class by class, rare ones first, each from a stream of its own: a group is cut off where that brings the class nearer
    to its share, and the smallest one where all are too large. A group that holds images of several classes counts for all
    of them; of each class one is left, and one more for each split that is cut `later`, as long as it has so many.
    """
    sizes: dict[str, Counter[int]] = {}
    for item in items:
        sizes.setdefault(groups[item.name], Counter())[item.label] += 1
    images, cut = Counter(item.label for item in items), Counter[int]()
    left = Counter(label for size in sizes.values() for label in size)
    least = {label: max(1, min(1 + later, count - 1)) for label, count in left.items()}
    chosen: set[str] = set()
    for label, members in sorted(images.items(), key=lambda pair: (pair[1], pair[0])):
        wanted = _share(fraction, members)
        own = [group for group in sizes if sizes[group][label]]
        rng = np.random.default_rng([settings.split_seed, _PURPOSE[purpose], label])
        drawn = [own[i] for i in rng.permutation(len(own))]
        smallest_first = sorted(drawn, key=lambda group: sizes[group][label])
        for group, whatever in [*((one, False) for one in drawn), *((one, True) for one in smallest_first)]:
            size = sizes[group]
            nearer = abs(cut[label] + size[label] - wanted) < abs(cut[label] - wanted)
            spared = all(left[one] > least[one] for one in size)
            if group not in chosen and spared and (nearer or (whatever and not cut[label])):
                chosen.add(group)
                cut.update(size)
                left.subtract(list(size))
    return frozenset(item for item in items if groups[item.name] in chosen)


def _share(fraction: float, count: int) -> int:
    """At least one, and at least one left: a small class is in every split as long as it can."""
    return min(max(1, round(fraction * count)), count - 1)
