"""COVID-CT in its original layout: two folders of images and the official split files.

Source: https://github.com/UCSD-AI4H/COVID-CT (Images unpacked). COVID is class 1, the positive one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

from evosearch.data.folders import counted, files_below, kinds_of, leaves, link_out, no_file
from evosearch.data.gathering import Gathered, gather_files
from evosearch.data.listing import BadFile, Item, Listing, SplitName
from evosearch.data.settings import FileKeys, Places
from evosearch.errors import DataError

CLASSES = ("NonCOVID", "COVID")
_FILE_WORD: dict[SplitName, str] = {"train": "train", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class CovidCtSettings(FileKeys):
    """COVID-CT in its original layout, with its official splits. Each field is a key under `data`."""

    name: Literal["covid_ct"] = "covid_ct"
    """Which source."""

    never_used: ClassVar = ("test_fraction", "validation_fraction", "split_seed")

    def read(self, places: Places) -> Gathered:
        """All images that are in a split file."""
        return gather_files(self, places, partial(list_covid_ct, follow_links=self.follow_links))


def list_covid_ct(root: Path, *, follow_links: bool = False) -> Listing:
    """Read the six split files. Raises DataError where a folder or a split file of the layout is missing."""
    found = _Found()
    splits = {
        split: tuple(
            item
            for label, name in enumerate(CLASSES)
            for item in _items(root, f"Data-split/{name}/{word}CT_{name}.txt", label, found, follow_links)
        )
        for split, word in _FILE_WORD.items()
    }
    bad = (*found.bad.values(), *found.missing)
    listing = Listing(CLASSES, splits, bad, repeats=tuple(found.repeats))
    entered = {str(folder) for name in listing.names for folder in PurePosixPath(name).parents}
    known = {*listing.names, *found.bad, *entered}
    unused = [name for name in files_below(root, root) if name not in known]
    return replace(
        listing,
        notes=_notes(unused),
        ignored=kinds_of(unused, "in no split file"),
    )


@dataclass(frozen=True)
class _Found:
    """What is wrong with the split files and what they name; `bad`: by name."""

    missing: list[BadFile] = field(default_factory=list)
    repeats: list[str] = field(default_factory=list)
    bad: dict[str, BadFile] = field(default_factory=dict)


def _items(root: Path, split_file: str, label: int, found: _Found, follow_links: bool) -> tuple[Item, ...]:
    folder = f"Images/CT_{CLASSES[label]}"
    for path, kind in ((folder, Path.is_dir), (split_file, Path.is_file)):
        if not kind(root / path):
            raise DataError(
                f"{str(root)!r} is not laid out like COVID-CT: {path!r} is missing; it needs Images/CT_COVID, "
                "Images/CT_NonCOVID and Data-split/{COVID,NonCOVID}/{train,val,test}CT_*.txt"
            )
    items = []
    named: dict[str, int] = {}
    lines = (root / split_file).read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    for number, file in enumerate((line.strip() for line in lines), start=1):
        name = f"{folder}/{file}"
        if not file:
            continue
        image, plain = root / name, Path(file).name == file
        if plain and image.is_file() and not follow_links and leaves(image, root):
            found.bad[name] = link_out(name)
        elif plain and (image.is_symlink() or image.exists()) and not (image.is_file() or image.is_dir()):
            found.bad[name] = no_file(image, name)
        elif not plain or not image.is_file():
            found.missing.append(
                BadFile(
                    split_file,
                    f"line {number} names {file!r}, which is not in {folder!r}",
                    "lines of split lists name images that are not there",
                    there=False,
                )
            )
        else:
            items.append(Item(name, label))
            if named.setdefault(file, number) != number:
                found.repeats.append(
                    f"{split_file!r} line {number} names {file!r} again, after line {named[file]}"
                )
    return tuple(items)


def _notes(unused: Sequence[str]) -> tuple[str, ...]:
    """About images that no split file names; what else is there (the split files, papers) is worth no word."""
    images = [name for name in unused if name.startswith("Images/")]
    if not images:
        return ()
    one = len(images) == 1
    return (
        f"{counted(len(images), 'file')} {'is' if one else 'are'} in no split file and {'is' if one else 'are'} not "
        f"used, first {images[0]!r}",
    )
