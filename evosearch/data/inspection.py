"""What a configuration's data are, for `evosearch data CONFIG`: it lists every bad file and stops at none."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evosearch.data.arrays import content_key
from evosearch.data.audit import Audit, audit_data
from evosearch.data.exclusion import read_source
from evosearch.data.hygiene import Contradiction, Duplicate, examine
from evosearch.data.listing import SPLITS, Listing, by_kind, repairs
from evosearch.data.loading import positive_class
from evosearch.data.reading import DecodedFiles, DeepFiles, deep_files
from evosearch.data.settings import Places
from evosearch.data.source import DataSettings


@dataclass(frozen=True)
class SourceImages:
    """The readable image files before any change."""

    shortest_side: int
    """The shortest of all, in pixels."""
    longest_side: int
    """The longest of all, in pixels."""
    modes: Mapping[str, int]
    """How many have each Pillow mode."""
    deep: DeepFiles | None = None
    """Those of more than 8 bits."""
    pages: int = 0
    """How many have pages after the first, which counts."""


@dataclass(frozen=True)
class FileCount:
    """Everything below the root that is no folder (files, links, named pipes): used, refused, or passed over."""

    used: int
    """Images that are in a split."""
    refused: int
    """Bad files, links that are not followed among them."""
    ignored: Mapping[str, int]
    """How many of each kind: an ending that is not read, hidden, an image in a place that is no class's, or a twin that
    train loses."""

    @property
    def every(self) -> int:
        """All of them."""
        return self.used + self.refused + sum(self.ignored.values())


@dataclass(frozen=True)
class Majority:
    """The class that is largest in train."""

    name: str
    """Of the class."""
    shares: Mapping[str, float]
    """Its share of each split, 0 to 1: the accuracy of who always answers it."""


@dataclass(frozen=True)
class DataReport:
    """What a source holds, for a person and for scripts."""

    name: str
    """Of the source."""
    root: str | None
    """Where they are on the disk; None: nowhere."""
    classes: tuple[str, ...]
    """Their names, by number."""
    counts: Mapping[str, Mapping[str, int]]
    """Usable images by split and class."""
    image: tuple[int, int, int]
    """Channels, height, width as networks see them."""
    key: str | None
    """The data's content hash; None while there are bad files."""
    bad_files: tuple[str, ...]
    """What is wrong with files, a line each."""
    duplicates: tuple[Duplicate, ...]
    """Equal pictures that are in two splits."""
    source: SourceImages | None
    """None for a source without image files, or where none is readable."""
    notes: tuple[str, ...]
    """What was noticed while reading, one line each; what the audit says is not said twice."""
    repeats: tuple[str, ...] = ()
    """As in `Listing`."""
    contradictions: tuple[Contradiction, ...] = ()
    """As in `Hygiene`."""
    alike: tuple[Contradiction, ...] = ()
    """As in `Hygiene`."""
    alike_count: int | None = 0
    """As in `Hygiene`."""
    objections: tuple[str, ...] = ()
    """Why no new search begins with these data."""
    files: FileCount | None = None
    """None for a source without image files."""
    majority: Majority | None = None
    """None where no image is usable."""
    groups: int | None = None
    """How many groups there are; None: images are not grouped."""
    bad_kinds: tuple[str, ...] = ()
    """The bad files for a person: those of a kind that has many are one line, with their number and the first."""
    repair: str = ""
    """What to do about the bad files; empty where there are none."""
    audit: Audit | None = None
    """None while there are bad files."""

    @property
    def missing(self) -> int:
        """How many of the bad files are not there: what a split list names."""
        return 0 if self.files is None else len(self.bad_files) - self.files.refused

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values; a duplicate is [split, name, split, name], a contradiction has its fields as keys."""
        return asdict(self) | {
            "duplicates": [list(duplicate) for duplicate in self.duplicates],
            "contradictions": [pair._asdict() for pair in self.contradictions],
            "alike": [pair._asdict() for pair in self.alike],
            "audit": None if self.audit is None else self.audit.to_json(),
        }


def inspect_data(
    settings: DataSettings, *, env: Mapping[str, str], cwd: Path, cache: Path | None
) -> DataReport:
    """Read everything that `load_dataset` would read and say what is there.

    Raises ConfigError where there is no such folder or no such positive class, DataError where its layout cannot be understood or a
    class is missing from a split; bad files are reported, not raised.
    """
    gathered = read_source(settings, Places(env, cwd, cache))
    listing, arrays, shape = gathered.listing, gathered.arrays, settings.image
    positive_class(getattr(settings, "positive", None), listing.classes)
    hygiene = examine(listing, arrays)
    key = None if listing.bad else content_key(tuple(arrays.values()), listing.classes)
    return DataReport(
        name=settings.name,
        root=None if gathered.root is None else str(gathered.root),
        classes=listing.classes,
        counts=_counts(listing),
        image=(shape.channels, shape.height, shape.width),
        key=key,
        bad_files=listing.problems,
        bad_kinds=by_kind(listing.bad),
        repair=repairs(listing.bad) if listing.bad else "",
        duplicates=hygiene.duplicates,
        source=None if gathered.files is None else _source_images(gathered.files),
        notes=listing.notes if key else listing.notes + hygiene.notes,
        objections=listing.objections,
        files=None if gathered.files is None else _file_count(listing),
        majority=_majority(listing),
        groups=None if listing.groups is None else len(set(listing.groups.values())),
        repeats=listing.repeats,
        contradictions=hygiene.contradictions,
        alike=hygiene.alike,
        alike_count=hygiene.alike_count,
        audit=None if key is None else audit_data(gathered.dataset(key), cache),
    )


def _counts(listing: Listing) -> dict[str, dict[str, int]]:
    return {
        split: {
            name: sum(item.label == label for item in items) for label, name in enumerate(listing.classes)
        }
        for split in SPLITS
        for items in (listing.splits[split],)
    }


def _file_count(listing: Listing) -> FileCount:
    return FileCount(len(listing.names), listing.refused, listing.ignored)


def _majority(listing: Listing) -> Majority | None:
    trained = Counter(item.label for item in listing.splits["train"])
    if not trained:
        return None
    largest = min(trained, key=lambda label: (-trained[label], label))
    shares: dict[str, float] = {
        split: sum(item.label == largest for item in items) / len(items)
        for split in SPLITS
        if (items := listing.splits[split])
    }
    return Majority(listing.classes[largest], shares)


def _source_images(files: DecodedFiles) -> SourceImages | None:
    readable = files.sizes[:, 0] > 0
    if not readable.any():
        return None
    sides = files.sizes[readable]
    modes = Counter(str(mode) for mode in files.modes[readable])
    return SourceImages(
        int(sides.min()),
        int(sides.max()),
        dict(sorted(modes.items())),
        deep_files(files),
        int(files.pages.sum()),
    )
