"""Several sources as one."""

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evosearch.data import (
    CovidCtSettings,
    Dataset,
    DataSettings,
    DigitsSettings,
    ImageFolderSettings,
    KermanySettings,
    Places,
    UnionSettings,
    inspect_data,
    load_dataset,
    sources_in,
)
from evosearch.errors import CannotRunError, ConfigError, DataError
from tests.data.conftest import WriteImages


def union(root: Path, **given: Any) -> UnionSettings[DataSettings]:
    """Of the folders `near` and `far`, in gray at 6 pixels."""
    parts = {name: ImageFolderSettings(root=str(root / name)) for name in ("near", "far")}
    return UnionSettings(**{"parts": parts, "image_size": 6, "channels": 1, **given})


@pytest.fixture
def two(tmp_path: Path, write_images: WriteImages) -> Path:
    """Ten cats and ten dogs nearby, and five of each far away."""
    for place, count in (("near", 10), ("far", 5)):
        for name in ("cat", "dog"):
            write_images(tmp_path / place / name, count)
    return tmp_path


def load(settings: DataSettings) -> Dataset:
    return load_dataset(settings, env={}, cwd=Path("/nowhere"), cache=None)


def test_parts_are_joined_split_by_split_in_their_order(two: Path) -> None:
    whole = load(union(two))
    each = [
        load(ImageFolderSettings(root=str(two / one), image_size=6, channels=1)) for one in ("near", "far")
    ]
    for split in ("train", "validation", "test"):
        for what in ("images", "labels"):
            joined = np.concatenate([getattr(getattr(one, split), what) for one in each])
            np.testing.assert_array_equal(getattr(getattr(whole, split), what), joined)
    assert whole.classes == ("cat", "dog")
    assert whole.test_parts == (("near", 4), ("far", 2))
    assert each[0].test_parts == ()


def test_the_hash_is_of_the_images_and_not_of_the_names_of_parts(two: Path) -> None:
    first = union(two)
    renamed = replace(first, parts={"a": first.parts["near"], "b": first.parts["far"]})
    assert load(renamed).key == load(first).key
    turned = replace(first, parts=dict(reversed(first.parts.items())))
    assert load(turned).key != load(first).key


def test_classes_that_are_called_otherwise_get_their_names_from_a_map(two: Path) -> None:
    expected = load(union(two))
    (two / "far/cat").rename(two / "far/z-felis")
    (two / "far/dog").rename(two / "far/a-canis")  # numbered the other way round
    for path in (two / "far/a-canis").iterdir():
        Image.new("L", (6, 6), 255).save(path)
    given = load(union(two, classes={"far": {"z-felis": "cat", "a-canis": "dog"}}))
    assert given.classes == expected.classes
    assert np.bincount(given.train.labels).tolist() == np.bincount(expected.train.labels).tolist()
    white = given.train.images.min(axis=(1, 2, 3)) == 255
    assert white.any()
    assert set(given.train.labels[white]) == {1}


def test_several_classes_of_a_part_may_be_one(two: Path, write_images: WriteImages) -> None:
    write_images(two / "far/wolf", 5)
    data = load(union(two, classes={"far": {"wolf": "dog"}}))
    assert data.classes == ("cat", "dog")
    assert np.bincount(data.test.labels).tolist() == [3, 4]


def test_a_map_that_makes_all_classes_one_is_refused(two: Path) -> None:
    one = {"cat": "animal", "dog": "animal"}
    with pytest.raises(
        ConfigError, match=r"^data.classes makes all classes one, 'animal'; a classifier needs"
    ):
        load(union(two, classes={"near": one, "far": one}))


def test_different_classes_are_refused_in_one_line_that_names_both_parts(two: Path) -> None:
    (two / "far/cat").rename(two / "far/felis")
    line = (
        "data.parts have different classes: near has 'cat', 'dog', far has 'dog', 'felis'; say in data.classes which "
        "is which, as in {far: {felis: cat}}"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(line)}$"):
        load(union(two))
    with pytest.raises(
        ConfigError, match=r"^data.classes.far names 'cat', but the classes of that part are 'dog', 'felis'$"
    ):
        load(union(two, classes={"far": {"cat": "cat"}}))


@pytest.mark.parametrize(
    ("parts", "given", "message"),
    [
        ({}, {}, "data.parts has 0 parts; a union is of at least two"),
        ({"a": DigitsSettings()}, {}, "data.parts has 1 part; a union is of at least two: add one"),
        ({"a/b": DigitsSettings(), "c": DigitsSettings()}, {}, "data.parts has a part called 'a/b'; images'"),
        (
            {"a": DigitsSettings(image_size=9), "b": DigitsSettings()},
            {},
            "data.parts.a.image_size is 9, but the union's is 8;",
        ),
        (
            {"a": DigitsSettings(), "b": DigitsSettings(channels=3)},
            {},
            "data.parts.b.channels is 3, but the union's is 1;",
        ),
        (
            {"a": DigitsSettings(positive=0), "b": DigitsSettings()},
            {},
            "data.parts.a.positive is 0; it is a key of the",
        ),
        (
            {"a": DigitsSettings(positive="1"), "b": DigitsSettings()},
            {},
            "data.parts.a.positive is 1; it is a key of the",
        ),
        (
            {"a": DigitsSettings(), "b": ImageFolderSettings(root="x", neutral=True)},
            {},
            "data.parts.b.neutral is True; it",
        ),
        (
            {"a": DigitsSettings(exclude_twins=True), "b": DigitsSettings()},
            {},
            "data.parts.a.exclude_twins is True; it",
        ),
        (
            {"a": DigitsSettings(), "b": DigitsSettings()},
            {"classes": {"c": {}}},
            "data.classes.c is of no part; parts are a, b",
        ),
        (
            {"a": DigitsSettings(), "b": DigitsSettings()},
            {"neutral": True},
            "data.neutral is true, but the part 'data.parts.a'",
        ),
    ],
)
def test_a_union_that_cannot_be_is_refused_by_its_key(
    parts: dict[str, DataSettings], given: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        UnionSettings(**{"parts": parts, "image_size": 8, "channels": 1, **given})


def test_a_part_is_no_union() -> None:
    inner = UnionSettings(parts={"a": DigitsSettings(), "b": DigitsSettings()})
    with pytest.raises(ConfigError, match=r"^data.parts.c.name is 'union'; a part is no union itself"):
        UnionSettings(parts={"c": inner, "d": DigitsSettings()})
    assert sources_in(inner) == (inner, DigitsSettings(), DigitsSettings())
    assert sources_in(DigitsSettings()) == (DigitsSettings(),)


def test_what_is_wrong_with_a_part_is_said_with_its_name(two: Path) -> None:
    shutil.rmtree(two / "far/dog")
    with pytest.raises(DataError, match=r"^data.parts.far: only one class \('cat'\) was found"):
        load(union(two))
    shutil.rmtree(two / "far")
    with pytest.raises(
        ConfigError, match=r"^data.parts.far.root is '.*/far', but there is no such folder at '/.*/far'; name"
    ):
        load(union(two))


def test_bad_files_of_all_parts_are_told_by_part(two: Path) -> None:
    (two / "near/cat/1.png").write_bytes(b"")
    (two / "far/dog/3.png").write_text("no image")
    with pytest.raises(
        DataError, match=r"^bad files \(2\): 'near/cat/1.png' is empty; 'far/dog/3.png' is not an image"
    ):
        load(union(two))
    report = inspect_data(union(two), env={}, cwd=two, cache=None)
    assert [line.split()[0] for line in report.bad_files] == ["'near/cat/1.png'", "'far/dog/3.png'"]


def test_pictures_that_two_parts_have_are_told_whichever_splits_they_are_in(two: Path) -> None:
    assert not any("in two parts" in note for note in load(union(two)).notes)
    shutil.rmtree(two / "far")
    shutil.copytree(two / "near", two / "far")
    notes = load(union(two)).notes
    assert "20 images are in two parts, first 'near/cat/" in next(note for note in notes if "parts" in note)
    (two / "far/cat").rename(two / "far/x")
    (two / "far/dog").rename(two / "far/cat")
    (two / "far/x").rename(two / "far/dog")
    assert any("20 pairs of equal images under different labels" in note for note in load(union(two)).notes)


def test_groups_of_parts_stay_apart_and_files_of_all_are_described(two: Path) -> None:
    parts = {name: ImageFolderSettings(root=str(two / name), group=r"(\d)\.png") for name in ("near", "far")}
    report = inspect_data(union(two, parts=parts), env={}, cwd=two, cache=None)
    assert report.groups == 15
    assert report.source is not None
    assert report.source.modes == {"RGB": 30}


def test_neutral_pictures_of_all_parts_have_one_side(two: Path, write_images: WriteImages) -> None:
    shutil.rmtree(two / "far")
    for name in ("cat", "dog"):
        write_images(two / "far" / name, 5, side=40)
    data = load(union(two, neutral=True))
    assert data.neutral_side == 6
    alone = load(ImageFolderSettings(root=str(two / "far"), image_size=6, channels=1, neutral=True))
    assert alone.neutral_side == 40
    assert load(union(two)).neutral_side is None


def test_deep_pictures_of_one_part_leave_their_window_and_different_ones_a_note(two: Path) -> None:
    def deepen(place: str, step: int) -> None:
        for number, path in enumerate(sorted((two / place).rglob("*.png"))):
            Image.fromarray(np.full((6, 6), number * step, np.uint16)).save(path)

    deepen("far", 100)
    assert load(union(two)).window is not None
    deepen("near", 70)
    data = load(union(two))
    assert data.window is None
    assert any("deep pictures are scaled otherwise in each part (0 to " in note for note in data.notes)


def test_parts_that_fit_one_by_one_and_not_together_are_refused(two: Path) -> None:
    free = iter([10**9, 10**9, 30 * 36 - 1])
    with pytest.raises(CannotRunError, match="30 images of 1 x 6 x 6 need"):
        union(two).read(Places({}, two, None, memory=lambda: next(free)))
    free = iter([10**9, 10**9, 30 * 36])
    assert union(two).read(Places({}, two, None, memory=lambda: next(free))).listing.problems == ()


@pytest.mark.slow
def test_published_sets_are_joined_and_what_one_of_them_contradicts_is_found() -> None:
    stored = os.environ.get("EVOSEARCH_DATA")
    if not stored or not all(Path(stored, one).is_dir() for one in ("covid-ct", "kermany224")):
        pytest.skip("set EVOSEARCH_DATA to the folder that holds covid-ct and kermany224")
    settings = UnionSettings(
        parts={"xray": KermanySettings(root="kermany224"), "ct": CovidCtSettings(root="covid-ct")},
        classes={"ct": {"NonCOVID": "NORMAL", "COVID": "PNEUMONIA"}},
        image_size=32,
        channels=1,
        neutral=True,
    )
    report = inspect_data(settings, env={"EVOSEARCH_DATA": stored}, cwd=Path("/nowhere"), cache=None)
    assert {split: sum(count.values()) for split, count in report.counts.items()} == {
        "train": 4185 + 425,
        "validation": 1047 + 118,
        "test": 624 + 203,
    }
    assert sum("no sharper than 61 x 61 pixels" in note for note in report.notes) == 2
    assert {(pair.name.split("/")[-1], pair.other_name.split("/")[-1]) for pair in report.alike} == {
        ("71%0.jpg", "kjr-21-e24-p5-29.png"),
        ("71%1.jpg", "kjr-21-e24-p5-31.png"),
    }
