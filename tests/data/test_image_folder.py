import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evosearch.data import ImageFolderSettings, load_dataset
from evosearch.data.image_folder import list_image_folder
from evosearch.data.listing import SPLITS, Item, Listing, by_kind, cut_missing, repairs, torn_groups
from evosearch.errors import ConfigError, DataError

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
    (pets / "cat" / ".ipynb_checkpoints" / "0.png").write_bytes((pets / "cat" / "0.png").read_bytes())
    listing = listed(pets)
    assert listing.splits == clean.splits
    assert listing.ignored == {"hidden": 3, ".db": 1, ".txt": 1}
    (note,) = listing.notes
    assert note.startswith("5 files are not used: 3 hidden, 1 .db, 1 .txt; read are .bmp .gif .jpeg")


def test_links_out_of_the_root_and_broken_links_are_problems_and_so_are_nested_folders_of_old_searches(
    pets: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (pets / "bird").symlink_to(outside)
    (pets / "cat" / "loop.png").symlink_to("loop.png")
    (pets / "cat" / "more").mkdir()
    (pets / "cat" / "0.png").rename(pets / "cat" / "more" / "0.png")
    (pets / "cat" / "more" / "notes.txt").write_text("no image")
    (pets / "dog" / "again.png").symlink_to("0.png")  # stays inside: allowed
    listing = list_image_folder(pets, replace(SETTINGS, recursive=False))
    assert listing.problems == (
        "'bird' is a link that leads out of the data folder; `data.follow_links: true` follows links",
        "'cat/loop.png' is a broken link",
        "'cat/more/0.png' is in a folder inside a class folder; move such images up",
    )
    assert "dog/again.png" in listing.names


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["test/cat", "test/dog"], "has 'test' but no 'train' folder; add it"),
        (["train/cat", "val/cat", "validation/cat"], "has 'val' and 'validation'; keep one of them"),
        (
            ["train/cat", "train/dog", "test/cat", "test/cow"],
            "' have different classes: train lacks 'cow'; test lacks 'dog'; every split folder",
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
        ({}, "no class was found in '{root}'; put the images of each class into a folder of its own"),
        (
            {"cat": 9},
            "only one class ('cat') was found in '{root}'; a classifier needs at least two: add images of another one (where "
            "classes are folders, in its own)",
        ),
        ({"cat": 9, "dog": 0}, "class 'dog' has 0 images, none of them in train and validation and test"),
        (
            {"cat": 9, "dog": 2},
            "class 'dog' has 2 images, none of them in validation; every split needs at least an image of every class: add images in '{root}'",
        ),
        (
            {"cat": 1, "dog": 9, "owl": 2},
            "class 'cat' has 1 image, none of them in validation and test; class 'owl' has 2 images, none of them in",
        ),
    ],
)
def test_too_few_classes_or_images_are_refused(
    tmp_path: Path, write_images: Callable[..., object], counts: dict[str, int], message: str
) -> None:
    (tmp_path / "pets").mkdir()
    for name, count in counts.items():
        write_images(tmp_path / "pets" / name, count)
    with pytest.raises(DataError, match=re.escape(message.format(root=tmp_path / "pets"))):
        load_dataset(SETTINGS, env={"EVOSEARCH_DATA": str(tmp_path)}, cwd=tmp_path, cache=None)


# Folders in class folders, and what belongs together


@pytest.fixture
def patients(tmp_path: Path, write_images: Callable[..., object]) -> Path:
    """Two classes of six patients with three pictures each."""
    for name in ("ill", "well"):
        for patient in range(6):
            write_images(tmp_path / "scans" / name / f"{name}-{patient}", 3)
    return tmp_path / "scans"


def test_folders_in_class_folders_are_the_classs_too_after_its_own_images(pets: Path, patients: Path) -> None:
    assert len(listed(patients).names) == 36
    flat = listed(pets)
    (pets / "cat" / "more" / "deeper").mkdir(parents=True)
    (pets / "cat" / "0.png").rename(pets / "cat" / "more" / "deeper" / "0.png")
    nested = listed(pets)
    assert "cat/more/deeper/0.png" in nested.names
    assert len(nested.names) == len(flat.names)
    assert nested.problems == nested.notes == ()


def test_a_flat_folder_is_cut_as_it_was_before_there_were_folders_in_it(pets: Path) -> None:
    assert listed(pets).splits == list_image_folder(pets, replace(SETTINGS, recursive=False)).splits


@pytest.mark.parametrize("group", ["folder", "^(.*)/", r"well-\d|ill-\d"])
def test_a_group_is_cut_off_as_a_whole_or_not_at_all(patients: Path, group: str) -> None:
    listing = list_image_folder(patients, replace(SETTINGS, group=group))
    places = {
        split: {name.rpartition("/")[0] for name in (item.name for item in items)}
        for split, items in listing.splits.items()
    }
    assert sum(len(folders) for folders in places.values()) == len(set().union(*places.values())) == 12
    assert {split: len(items) for split, items in listing.splits.items()} == {
        "train": 24,
        "validation": 6,
        "test": 6,
    }
    assert listing.notes == ()
    assert listing.groups is not None
    assert len(set(listing.groups.values())) == 12


def test_without_groups_a_patient_stands_in_several_splits(patients: Path) -> None:
    splits = listed(patients).splits
    folders = {split: {item.name.rpartition("/")[0] for item in items} for split, items in splits.items()}
    assert folders["train"] & folders["test"]


def test_what_names_no_group_is_one_by_itself_and_said(
    patients: Path, write_images: Callable[..., object]
) -> None:
    write_images(patients / "ill", 2)
    listing = list_image_folder(patients, replace(SETTINGS, group="folder"))
    assert listing.notes == (
        "2 images are in no folder of a class folder, each a group by itself, first 'ill/0.png'",
    )
    assert listing.groups is not None
    assert len(set(listing.groups.values())) == 14


def test_an_expression_that_matches_nothing_is_shown_as_it_was_written(patients: Path) -> None:
    (note,) = list_image_folder(patients, replace(SETTINGS, group=r"film\d+")).notes
    assert note.startswith(r"36 images are without a match of 'film\d+', each")
    with pytest.raises(ConfigError, match=re.escape(r"data.group is '(\d', no")):
        replace(SETTINGS, group=r"(\d")


def test_groups_that_stand_in_two_given_splits_are_a_note(
    tmp_path: Path, write_images: Callable[..., object]
) -> None:
    root = tmp_path / "scans"
    for split in ("train", "test"):
        for name in ("ill", "well"):
            for patient in range(3):
                write_images(root / split / name / f"{name}{patient}{split if patient else ''}", 2)
    listing = list_image_folder(root, replace(SETTINGS, group="folder"))
    (note,) = listing.notes
    assert note == "2 groups are in several splits: 'ill0' in train and test; 'well0' in validation and test"
    data = load_dataset(
        ImageFolderSettings(root="scans", group="folder", image_size=4), env={}, cwd=tmp_path, cache=None
    )
    assert note in data.notes


@given(
    st.lists(st.integers(1, 6), min_size=3, max_size=12),
    st.lists(st.integers(1, 6), min_size=3, max_size=12),
    st.floats(0.05, 0.4),
    st.integers(0, 9),
)
@example([1, 1, 1], [1, 1, 4], 0.25, 0)
@settings(max_examples=500)
def test_however_large_groups_are_every_class_of_three_stands_in_every_split(
    ill: list[int], well: list[int], fraction: float, seed: int
) -> None:
    items, groups = [], {}
    for label, sizes in enumerate((ill, well)):
        for group, size in enumerate(sizes):
            for number in range(size):
                items.append(Item(f"{label}/{group}/{number}", label))
                groups[items[-1].name] = f"{label}/{group}"
    keys = ImageFolderSettings(
        root="x", test_fraction=fraction, validation_fraction=fraction, split_seed=seed
    )
    splits = cut_missing({"train": tuple(items)}, keys, groups)
    assert torn_groups(splits, groups) == ()
    assert sorted((i for split in SPLITS for i in splits[split]), key=items.index) == items
    assert all({item.label for item in splits[split]} == {0, 1} for split in SPLITS)


# Links


@pytest.fixture
def linked(pets: Path, tmp_path: Path) -> Path:
    """The pets, of whose cats all files are links into a store, and whose dogs are one link."""
    (tmp_path / "store").mkdir()
    for path in sorted((pets / "cat").iterdir()):
        path.rename(tmp_path / "store" / path.name)
        path.symlink_to(tmp_path / "store" / path.name)
    (pets / "dog").rename(tmp_path / "kennel")
    (pets / "dog").symlink_to(tmp_path / "kennel")
    return pets


def test_every_link_that_leads_out_is_a_bad_file_and_many_are_summed_up(linked: Path) -> None:
    listing = listed(linked)
    reason = "is a link that leads out of the data folder; `data.follow_links: true` follows links"
    assert listing.problems == (f"'dog' {reason}", *(f"'cat/{number}.png' {reason}" for number in range(10)))
    assert (listing.refused, listing.names) == (11, ())
    line = "11 links lead out of the data folder, first 'dog'; `data.follow_links: true` follows links"
    assert by_kind(listing.bad) == (line,)
    assert repairs(listing.bad) == "`data.follow_links: true` follows links"


def test_links_are_followed_where_the_key_says_so_and_the_data_are_the_same(
    linked: Path, tmp_path: Path
) -> None:
    followed = load_dataset(
        replace(SETTINGS, follow_links=True, image_size=4), env={}, cwd=tmp_path, cache=None
    )
    shutil.copytree(linked, tmp_path / "copied")
    copied = load_dataset(replace(SETTINGS, root="copied", image_size=4), env={}, cwd=tmp_path, cache=None)
    assert followed.key == copied.key
    assert followed.notes == ()


def test_a_link_to_a_folder_that_it_stands_in_is_no_way_without_end(pets: Path) -> None:
    (pets / "cat" / "round").symlink_to("..")
    assert listed(pets).problems == ("'cat/round/cat' is a link to a folder that it is in",)


# Layouts that may mean two things


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (
            ["train/cat", "train/dog", "dev/cat", "dev/dog", "test/cat", "test/dog"],
            "holds 'test', 'train' and, beside them, 'dev'; a split's folder is called train, val or test: rename it so; ",
        ),
        (
            ["train", "car", "bicycle"],
            "holds 'train' and, beside it, 'bicycle', 'car'; a split's folder is called train, val or test: rename it so; "
            "where 'train' is a class too, move all class folders into one called train",
        ),
        (["covid", "test", "healthy"], "holds 'test' and, beside it, 'covid', 'healthy'; a split's folder"),
    ],
)
def test_a_layout_that_may_mean_two_things_is_refused_to_a_new_search(
    tmp_path: Path, write_images: Callable[..., object], folders: list[str], message: str
) -> None:
    for folder in folders:
        write_images(tmp_path / "pets" / folder, 5)
    with pytest.raises(DataError, match=re.escape(message)):
        load_dataset(SETTINGS, env={}, cwd=tmp_path, cache=None)


def test_a_folder_without_pictures_beside_the_splits_is_no_question(
    tmp_path: Path, write_images: Callable[..., object]
) -> None:
    for folder in ("train/cat", "train/dog"):
        write_images(tmp_path / "pets" / folder, 5)
    (tmp_path / "pets" / "boxes").mkdir()
    (tmp_path / "pets" / "boxes" / "cat.xml").write_text("<box/>")
    listing = listed(tmp_path / "pets")
    assert (listing.objections, listing.ignored) == ((), {".xml": 1})


def test_a_search_that_began_with_such_a_layout_goes_on_with_a_note(
    tmp_path: Path, write_images: Callable[..., object]
) -> None:
    for folder in ("train/cat", "train/dog", "dev/cat", "dev/dog"):
        write_images(tmp_path / "pets" / folder, 5)
    settings = replace(SETTINGS, image_size=4)
    data = load_dataset(settings, env={}, cwd=tmp_path, cache=None, begun=True)
    shutil.rmtree(tmp_path / "pets" / "dev")
    assert data.key == load_dataset(settings, env={}, cwd=tmp_path, cache=None).key
    assert [note for note in data.notes if "holds 'train' and, beside it, 'dev'" in note]
    assert data.notes[0].startswith("10 files are not used: 10 .png outside the class folders")
