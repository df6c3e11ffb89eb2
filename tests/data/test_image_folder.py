import re
from collections.abc import Callable
from pathlib import Path

import pytest

from evosearch.data import ImageFolderSettings, load_dataset
from evosearch.data.image_folder import list_image_folder
from evosearch.data.listing import SPLITS, Listing
from evosearch.errors import DataError

SETTINGS = ImageFolderSettings(root="pets")


def listed(root: Path) -> Listing:
    return list_image_folder(root, SETTINGS)


def test_class_folders_become_classes_in_alphabetical_order(pets: Path) -> None:
    listing = listed(pets)
    assert listing.classes == ("cat", "dog")
    assert {split: len(listing.splits[split]) for split in SPLITS} == {"train": 9, "validation": 3, "test": 3}
    assert {i.label for i in listing.splits["test"] if i.name.startswith("dog/")} == {1}


@pytest.mark.parametrize("word", ["val", "validation", "Val"])
def test_split_folders_are_kept_and_only_the_missing_one_is_cut(pets: Path, word: str) -> None:
    (pets.parent / word).mkdir()
    for name in ("train", word):
        (pets / name).mkdir(exist_ok=True)
    for name in ("cat", "dog"):
        (pets / word / name).mkdir()
        (pets / name).rename(pets / "train" / name)
        (pets / "train" / name / "0.png").rename(pets / word / name / "0.png")
    listing = listed(pets)
    assert [i.name for i in listing.splits["validation"]] == [f"{word}/cat/0.png", f"{word}/dog/0.png"]
    assert (len(listing.splits["train"]), len(listing.splits["test"])) == (10, 3)


def test_what_is_no_image_is_ignored_and_noted(pets: Path) -> None:
    clean = listed(pets)
    for name in ("cat/Thumbs.db", "cat/.DS_Store", "dog/._0.png", "readme.txt"):
        (pets / name).write_text("no image")
    (pets / "cat" / ".ipynb_checkpoints").mkdir()
    listing = listed(pets)
    assert listing.splits == clean.splits
    assert listing.notes == ("5 files that are no images of a class are ignored, first 'readme.txt'",)


def test_links_out_of_the_root_broken_links_and_nested_folders_are_problems(
    pets: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (pets / "bird").symlink_to(outside)
    (pets / "cat" / "loop.png").symlink_to("loop.png")
    (pets / "cat" / "more").mkdir()
    (pets / "dog" / "again.png").symlink_to("0.png")  # stays inside: allowed
    listing = listed(pets)
    assert listing.problems == (
        "'bird' is a link that leads out of the data folder",
        "'cat/loop.png' is neither a file nor a folder (a broken link?)",
        "'cat/more' is a folder inside a class folder: move its images up",
    )
    assert "dog/again.png" in listing.names


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["test/cat", "test/dog"], "has 'test' but no 'train' folder; add it"),
        (["train/cat", "val/cat", "validation/cat"], "has 'val' and 'validation'; keep one of them"),
        (
            ["train/cat", "train/dog", "test/cat", "test/cow"],
            "classes of train and test differ in 'cow', 'dog'",
        ),
    ],
)
def test_split_folders_that_do_not_fit_are_refused(tmp_path: Path, folders: list[str], message: str) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(DataError, match=re.escape(message)):
        listed(tmp_path)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "no class was found; put the images of each class into a folder of its own"),
        ({"cat": 9}, "only one class ('cat') was found; a classifier needs at least two class folders"),
        ({"cat": 9, "dog": 0}, "class 'dog' has 0 images, none of them in train and validation and test"),
        ({"cat": 9, "dog": 2}, "class 'dog' has 2 images, none of them in validation; every split needs"),
    ],
)
def test_too_few_classes_or_images_are_refused(
    tmp_path: Path, write_images: Callable[..., object], counts: dict[str, int], message: str
) -> None:
    (tmp_path / "pets").mkdir()
    for name, count in counts.items():
        write_images(tmp_path / "pets" / name, count)
    with pytest.raises(DataError, match=re.escape(message)):
        load_dataset(SETTINGS, env={"EVOSEARCH_DATA": str(tmp_path)}, cwd=tmp_path, cache=None)
