"""COVID-CT in its original layout: two folders of images and the official split files.

Source: https://github.com/UCSD-AI4H/COVID-CT (Images unpacked). COVID is class 1, the positive one.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from evosearch.data.folders import leaves
from evosearch.data.gathering import Gathered, gather_files
from evosearch.data.listing import Item, Listing, SplitName
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
        """All images that stand in a split file."""
        return gather_files(self, places, list_covid_ct)


def list_covid_ct(root: Path) -> Listing:
    """Read the six split files. Raises DataError where a folder or a split file of the layout is missing."""
    problems: list[str] = []
    repeats: list[str] = []
    splits = {
        split: tuple(
            item
            for label, name in enumerate(CLASSES)
            for item in _items(root, f"Data-split/{name}/{word}CT_{name}.txt", label, problems, repeats)
        )
        for split, word in _FILE_WORD.items()
    }
    listing = Listing(CLASSES, splits, tuple(problems), repeats=tuple(repeats))
    return replace(listing, notes=_unused(root, frozenset(listing.names)))


def _items(
    root: Path, split_file: str, label: int, problems: list[str], repeats: list[str]
) -> tuple[Item, ...]:
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
        if Path(file).name != file or not (root / name).is_file():
            problems.append(f"{split_file!r} line {number} names {file!r}, which is not in {folder!r}")
        elif leaves(root / name, root):
            problems.append(f"{name!r} is a link that leads out of the data folder")
        else:
            items.append(Item(name, label))
            if named.setdefault(file, number) != number:
                repeats.append(f"{split_file!r} line {number} names {file!r} again, after line {named[file]}")
    return tuple(items)


def _unused(root: Path, used: frozenset[str]) -> tuple[str, ...]:
    folders = (f"Images/CT_{name}" for name in CLASSES)
    present = sorted(f"{folder}/{path.name}" for folder in folders for path in (root / folder).iterdir())
    unused = [name for name in present if name not in used]
    if not unused:
        return ()
    return (f"{len(unused)} files stand in no split file and are not used, first {unused[0]!r}",)
