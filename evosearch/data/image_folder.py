"""One's own pictures: a folder per class, with or without train, val and test folders above them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from evosearch.data.decoding import Window
from evosearch.data.folders import Walk, counted, kinds_of, passed_over
from evosearch.data.gathering import Gathered, gather_files
from evosearch.data.listing import SPLITS, Item, Listing, SplitName, cut_missing, shortened, torn_groups
from evosearch.data.settings import CutKeys, FileKeys, Places
from evosearch.errors import ConfigError, DataError

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
    recursive: bool = field(default=True, metadata={"absent": False})
    """Whether images in folders inside class folders (class/patient/image.png) are the class's too; false: such folders are
    refused."""
    group: str = "none"
    """What belongs together (a patient, a film) and is cut off as a whole: none; folder, the folder inside the class folder
    that holds an image; or a regular expression, searched for in an image's path within its class folder, of which the
    first (group), else the whole match, names what it belongs to. What names no group is one by itself."""
    window: Window = field(default="auto", metadata={"absent": "full"})
    """Which values of deep pictures (16 or 32 bit, floating point) become black and white, one scale for all: auto, the
    lowest and highest of the training images; [low, high]; or full, 0 and 65535, with white-is-zero left as it is."""

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            re.compile(self.group)
        except re.error as error:
            raise ConfigError(
                f"data.group is {_shown(self.group)}, no regular expression ({error}); write none, folder or one"
            ) from None
        if not isinstance(self.window, str) and not self.window[0] < self.window[1]:
            raise ConfigError(f"data.window is {list(self.window)}; the lower value comes first")

    def read(self, places: Places) -> Gathered:
        """All images of all class folders."""
        return gather_files(self, places, partial(list_image_folder, settings=self), self.window)


def list_image_folder(root: Path, settings: ImageFolderSettings) -> Listing:
    """Classes are the folder names in alphabetical order; missing splits are cut from the training images.

    Raises DataError where split folders are incomplete or hold different classes.
    """
    walk = Walk(root, settings.follow_links)
    by_split, objections = _class_folders(walk)
    classes = tuple(folder.name for folder in by_split["train"])
    within: dict[str, str] = {}
    given = {}
    for split, folders in by_split.items():
        items = []
        for label, folder in enumerate(folders):
            for name in walk.images(folder, nested=settings.recursive):
                items.append(Item(name, label))
                within[name] = name.removeprefix(f"{walk.name(folder)}/")
        given[split] = tuple(items)
    groups, notes = _groups(within, settings.group)
    splits = cut_missing(given, settings, groups)
    torn = torn_groups(splits, groups) if groups is not None else ()
    if torn:
        verb = "is" if len(torn) == 1 else "are"
        notes = (*notes, f"{counted(len(torn), 'group')} {verb} in several splits: {shortened(torn)}")
    ignored = kinds_of(walk.ignored, "outside the class folders")
    return Listing(
        classes,
        splits,
        tuple(walk.bad),
        (*passed_over(ignored), *notes),
        objections=objections,
        ignored=ignored,
        groups=groups,
    )


def _groups(within: Mapping[str, str], rule: str) -> tuple[Mapping[str, str] | None, tuple[str, ...]]:
    """The group of each image by its name, and notes. `within`: its path within its class folder."""
    if rule == "none":
        return None, ()
    groups: dict[str, str] = {}
    alone = []
    for name, path in within.items():
        folder = path.rpartition("/")[0]
        found = folder if rule == "folder" else _match(rule, path)
        groups[name] = found or name
        alone += [] if found else [name]
    if not alone:
        return groups, ()
    verb = "is" if len(alone) == 1 else "are"
    why = "in no folder of a class folder" if rule == "folder" else f"without a match of {_shown(rule)}"
    return groups, (
        f"{counted(len(alone), 'image')} {verb} {why}, each a group by itself, first {alone[0]!r}",
    )


def _shown(rule: str) -> str:
    """A regular expression as it was written, its backslashes not doubled."""
    return repr(rule).replace("\\\\", "\\")


def _match(rule: str, path: str) -> str | None:
    match = re.search(rule, path)
    return match and (match[1] if match.re.groups else match[0])


def _class_folders(walk: Walk) -> tuple[Mapping[SplitName, tuple[Path, ...]], tuple[str, ...]]:
    """By split, and why no new search begins with this layout."""
    folders = walk.folders(walk.root)
    split_folders = [folder for folder in folders if folder.name.lower() in _SPLIT_OF]
    others = [folder for folder in folders if folder not in split_folders]
    if not split_folders:
        return {"train": folders}, ()
    by_split: dict[SplitName, Path] = {}
    for folder in split_folders:
        split = _SPLIT_OF[folder.name.lower()]
        if split in by_split:
            raise DataError(
                f"{str(walk.root)!r} has {by_split[split].name!r} and {folder.name!r}; keep one of them"
            )
        by_split[split] = folder
    doubtful = [folder for folder in others if folder.is_symlink() or walk.has_images(folder)]
    ambiguous = _ambiguity(walk.root, split_folders, doubtful) if doubtful else ""
    if "train" not in by_split:
        raise DataError(
            ambiguous or f"{str(walk.root)!r} has {split_folders[0].name!r} but no 'train' folder; add it"
        )
    for folder in others:
        walk.pass_over(folder)
    found = {split: walk.folders(by_split[split]) for split in SPLITS if split in by_split}
    if ambiguous and not found["train"]:  # its images are in it, as in a class
        raise DataError(ambiguous)
    _require_same_classes(walk.root, found)
    return found, (ambiguous,) if ambiguous else ()


def _ambiguity(root: Path, splits: list[Path], others: list[Path]) -> str:
    named, beside = (
        ", ".join([*(repr(one.name) for one in some[:5]), *(["..."] if some[5:] else [])])
        for some in (splits, others)
    )
    return (
        f"{str(root)!r} holds {named} and, beside {'it' if len(splits) == 1 else 'them'}, {beside}; a split's folder is called "
        f"train, val or test: rename it so; where {named} {'is a class' if len(splits) == 1 else 'are classes'} too, move all "
        "class folders into one called train; move away what is neither"
    )


def _require_same_classes(root: Path, found: Mapping[SplitName, tuple[Path, ...]]) -> None:
    """Raise DataError, saying which side lacks which class, unless all splits have the same ones."""
    every = {folder.name for folders in found.values() for folder in folders}
    lacking = tuple(
        f"{split} lacks {', '.join(map(repr, missing))}"
        for split, folders in found.items()
        if (missing := sorted(every - {folder.name for folder in folders}))
    )
    if lacking:
        raise DataError(
            f"the splits in {str(root)!r} have different classes: {'; '.join(lacking)}; every split folder needs the same class folders",
            lacking,
        )
