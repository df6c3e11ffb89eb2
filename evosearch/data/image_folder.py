"""One's own pictures: a folder per class, with or without train, val and test folders above them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from evosearch.data.cutting import cut_missing
from evosearch.data.folders import Walk
from evosearch.data.gathering import Gathered, gather_files
from evosearch.data.listing import SPLITS, Item, Listing, SplitName
from evosearch.data.settings import CutKeys, FileKeys, Places
from evosearch.errors import DataError

_SPLIT_OF: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class ImageFolderSettings(CutKeys, FileKeys):
    """One folder of images per class, with or without train, val and test folders above them. Each field is a key under
    `data`.
    """

    name: Literal["image_folder"] = "image_folder"
    """Which source."""

    def read(self, places: Places) -> Gathered:
        """All images of all class folders."""
        return gather_files(self, places, partial(list_image_folder, settings=self))


def list_image_folder(root: Path, settings: ImageFolderSettings) -> Listing:
    """Classes are the folder names in alphabetical order; missing splits are cut from the training images.

    Raises DataError where split folders are incomplete or hold different classes.
    """
    walk = Walk(root)
    by_split = _class_folders(walk)
    classes = tuple(folder.name for folder in by_split["train"])
    given = {
        split: tuple(
            Item(name, label) for label, folder in enumerate(folders) for name in walk.images(folder)
        )
        for split, folders in by_split.items()
    }
    return Listing(classes, cut_missing(given, settings), tuple(walk.problems), walk.notes())


def _class_folders(walk: Walk) -> Mapping[SplitName, tuple[Path, ...]]:
    folders = walk.folders(walk.root)
    split_folders = [folder for folder in folders if folder.name.lower() in _SPLIT_OF]
    if not split_folders:
        return {"train": folders}
    walk.ignored.extend(walk.name(folder) for folder in folders if folder not in split_folders)
    by_split: dict[SplitName, Path] = {}
    for folder in split_folders:
        split = _SPLIT_OF[folder.name.lower()]
        if split in by_split:
            raise DataError(
                f"{str(walk.root)!r} has {by_split[split].name!r} and {folder.name!r}; keep one of them"
            )
        by_split[split] = folder
    if "train" not in by_split:
        raise DataError(f"{str(walk.root)!r} has {split_folders[0].name!r} but no 'train' folder; add it")
    found = {split: walk.folders(by_split[split]) for split in SPLITS if split in by_split}
    _require_same_classes(found)
    return found


def _require_same_classes(found: Mapping[SplitName, tuple[Path, ...]]) -> None:
    train = {folder.name for folder in found["train"]}
    for split, folders in found.items():
        differing = train.symmetric_difference(folder.name for folder in folders)
        if differing:
            raise DataError(
                f"the classes of train and {split} differ in {', '.join(map(repr, sorted(differing)))}; "
                "every split folder needs the same class folders"
            )
