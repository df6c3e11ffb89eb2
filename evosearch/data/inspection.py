"""What a configuration's data are, for `evosearch data CONFIG`: it lists every bad file and stops at none."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evosearch.data.arrays import content_key
from evosearch.data.hygiene import Contradiction, Duplicate, examine
from evosearch.data.listing import SPLITS, Listing
from evosearch.data.reading import DecodedFiles
from evosearch.data.settings import Places
from evosearch.data.sources import DataSettings


@dataclass(frozen=True)
class SourceImages:
    """The readable image files before any change: sides in pixels, and how many have each Pillow mode."""

    shortest_side: int
    longest_side: int
    modes: Mapping[str, int]


@dataclass(frozen=True)
class DataReport:
    """`counts`: usable images by split and class. `image`: channels, height, width as networks see them.

    `key`: the data's content hash, None while there are bad files. `source`: None for a source without files.
    `repeats`, `contradictions`, `alike` and `alike_count`: see `Listing` and `Hygiene`.
    """

    name: str
    root: str | None
    classes: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    image: tuple[int, int, int]
    key: str | None
    bad_files: tuple[str, ...]
    duplicates: tuple[Duplicate, ...]
    source: SourceImages | None
    notes: tuple[str, ...]
    repeats: tuple[str, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    alike: tuple[Contradiction, ...] = ()
    alike_count: int | None = 0

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values; a duplicate is [split, name, split, name], a contradiction has its fields as keys."""
        return asdict(self) | {
            "duplicates": [list(duplicate) for duplicate in self.duplicates],
            "contradictions": [pair._asdict() for pair in self.contradictions],
            "alike": [pair._asdict() for pair in self.alike],
        }


def inspect_data(
    settings: DataSettings, *, env: Mapping[str, str], cwd: Path, cache: Path | None
) -> DataReport:
    """Read everything that `load_dataset` would read and say what is there.

    Raises ConfigError where there is no such folder, DataError where its layout cannot be understood or a
    class is missing from a split; bad files are reported, not raised.
    """
    gathered = settings.read(Places(env, cwd, cache))
    listing, arrays, shape = gathered.listing, gathered.arrays, settings.image
    hygiene = examine(listing, arrays)
    return DataReport(
        name=settings.name,
        root=None if gathered.root is None else str(gathered.root),
        classes=listing.classes,
        counts=_counts(listing),
        image=(shape.channels, shape.height, shape.width),
        key=None if listing.problems else content_key(tuple(arrays.values()), listing.classes),
        bad_files=listing.problems,
        duplicates=hygiene.duplicates,
        source=None if gathered.files is None else _source_images(gathered.files),
        notes=listing.notes + hygiene.notes,
        repeats=listing.repeats,
        contradictions=hygiene.contradictions,
        alike=hygiene.alike,
        alike_count=hygiene.alike_count,
    )


def _counts(listing: Listing) -> dict[str, dict[str, int]]:
    return {
        split: {
            name: sum(item.label == label for item in items) for label, name in enumerate(listing.classes)
        }
        for split in SPLITS
        for items in (listing.splits[split],)
    }


def _source_images(files: DecodedFiles) -> SourceImages | None:
    readable = files.sizes[:, 0] > 0
    if not readable.any():
        return None
    sides = files.sizes[readable]
    modes = Counter(str(mode) for mode in files.modes[readable])
    return SourceImages(int(sides.min()), int(sides.max()), dict(sorted(modes.items())))
