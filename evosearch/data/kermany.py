"""Chest X-rays of children, with and without pneumonia, as their makers published them: train, val and test folders.

Source: Kermany, Zhang, Goldbaum, "Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for Classification",
Mendeley Data, doi 10.17632/rscbjbr9sj. PNEUMONIA is class 1, the positive one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

from evosearch.data.folders import Walk, counted, kinds_of, passed_over
from evosearch.data.gathering import Gathered, gather_files
from evosearch.data.listing import Item, Listing, cut_missing, shortened, torn_groups
from evosearch.data.settings import FileKeys, Places, ValidationKeys
from evosearch.errors import DataError

CLASSES = ("NORMAL", "PNEUMONIA")

_FOLDERS = ("train", "val", "test")
_ILL = re.compile(r"(person\d+_(?:bacteria|virus))_")
_HEALTHY = re.compile(r"(?:NORMAL2-)?IM-(\d+)-")


@dataclass(frozen=True)
class KermanySettings(ValidationKeys, FileKeys):
    """Paediatric chest X-rays (Kermany et al.), NORMAL and PNEUMONIA under train, val and test. The published val, 16 images,
    joins train, and validation is cut anew, so that no patient stands in both. Each field is a key under `data`.
    """

    name: Literal["kermany"] = "kermany"
    """Which source."""

    def read(self, places: Places) -> Gathered:
        """All images of the six folders."""
        return gather_files(self, places, partial(list_kermany, settings=self))


def list_kermany(root: Path, settings: KermanySettings) -> Listing:
    """The published test split, and train and validation cut anew from all other images.

    What belongs together is cut off as a whole: images of pneumonia that share person and germ, of which more than half do,
    and images without it that share their number. Raises DataError where a folder of the layout is missing.
    """
    walk = Walk(root, settings.follow_links)
    _require_layout(root)
    for folder in walk.folders(root):
        inside = walk.folders(folder) if folder.name in _FOLDERS else (folder,)
        for unknown in (one for one in inside if one.name not in CLASSES or folder.name not in _FOLDERS):
            walk.pass_over(unknown)
    test, rest = (tuple(_items(walk, folders)) for folders in (("test",), ("train", "val")))
    groups, alone = {}, []
    for item in (*rest, *test):
        found = _group(item.name)
        groups[item.name] = found or item.name
        alone += [] if found else [item.name]
    splits = cut_missing({"train": rest, "test": test}, settings, groups)
    ignored = kinds_of(walk.ignored, "outside the class folders")
    return Listing(
        CLASSES,
        splits,
        tuple(walk.bad),
        (*passed_over(ignored), *_alone_notes(alone), *_torn_notes(torn_groups(splits, groups))),
        ignored=ignored,
        groups=groups,
    )


def _require_layout(root: Path) -> None:
    wanted = (f"{split}/{name}" for split in _FOLDERS for name in CLASSES)
    for folder in wanted:
        if not (root / folder).is_dir():
            raise DataError(
                f"{str(root)!r} is not laid out like Kermany's chest X-rays: {folder!r} is missing; it needs "
                "{train,val,test}/{NORMAL,PNEUMONIA}, as in the folder that the published archive unpacks to"
            )


def _items(walk: Walk, folders: tuple[str, ...]) -> Iterator[Item]:
    for label, name in enumerate(CLASSES):
        for folder in folders:
            for image in walk.images(walk.root / folder / name, nested=False):
                yield Item(image, label)


def _group(name: str) -> str | None:
    """What an image belongs to, by its file's name; None where that has another form.

    >>> _group("train/PNEUMONIA/person1000_virus_1681.jpeg")
    'person1000_virus'
    >>> _group("train/NORMAL/NORMAL2-IM-0383-0001.jpeg")
    'normal 383'

    Person and germ are the key, since persons of bacteria and of viruses are counted apart. So are healthy ones, it seems,
    of names with and without NORMAL2: chest X-rays of one number from both are no more alike than others (median correlation
    of thumbnails .76 and .75, within a series .80). Which of both is true does no harm to a cut that keeps numbers together;
    the published test split, the beginning of each series, is told apart.
    """
    split, label, file = PurePosixPath(name).parts
    if label == CLASSES[1]:
        found = _ILL.match(file)
        return found and found[1]
    if found := _HEALTHY.match(file):
        return f"{'test ' if split == 'test' else ''}normal {int(found[1])}"
    return None


def _alone_notes(alone: list[str]) -> tuple[str, ...]:
    if not alone:
        return ()
    verb = "is" if len(alone) == 1 else "are"
    return (
        f"{counted(len(alone), 'image')} {verb} not named like the published ones (personN_virus_N, IM-N-N), each a group by "
        f"itself, first {alone[0]!r}",
    )


def _torn_notes(torn: tuple[str, ...]) -> tuple[str, ...]:
    """About groups of train that stand in the test split too; of the published images there is none."""
    if not torn:
        return ()
    verb = "is" if len(torn) == 1 else "are"
    return (f"{counted(len(torn), 'group')} {verb} in several splits: {shortened(torn)}",)
