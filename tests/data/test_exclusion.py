"""What is in validation or test is not trained on, where the configuration asks for that."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evosearch.data import (
    Dataset,
    ImageFolderSettings,
    UnionSettings,
    audit_data,
    inspect_data,
    load_dataset,
)
from evosearch.errors import DataError
from tests.data.audited import scan

SETTINGS = ImageFolderSettings(root="scans", image_size=32, channels=1)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Ten scans of each of two classes in train, four in val and test; train has one of test, and one of val brighter and
    as JPEG.
    """
    root = tmp_path / "scans"
    for place, (split, count) in enumerate((("train", 10), ("val", 4), ("test", 4))):
        for label, name in enumerate(("cat", "dog")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                picture = scan(1000 * place + 100 * label + number)[0]
                Image.fromarray(picture).save(root / split / name / f"{number}.png")
    equal = Image.open(root / "test/cat/0.png")
    equal.save(root / "train/cat/copy.png")
    near = Image.open(root / "val/dog/1.png").point(lambda value: value * 0.9 + 12).resize((70, 70))
    near.save(root / "train/dog/near.jpg", quality=70)
    return root


def loaded(scans: Path, **keys: bool) -> Dataset:
    return load_dataset(replace(SETTINGS, **keys), env={}, cwd=scans.parent, cache=None)


def test_without_the_key_everything_stays(scans: Path) -> None:
    data = loaded(scans)
    assert len(data.train) == 22
    assert audit_data(data, None).leaked == {"validation": 1, "test": 1}


def test_with_it_train_loses_equal_images_and_near_twins_and_a_note_says_so(scans: Path) -> None:
    before, data = loaded(scans), loaded(scans, exclude_twins=True)
    assert len(data.train) == 20
    assert set(before.names["train"]) - set(data.names["train"]) == {
        "train/cat/copy.png",
        "train/dog/near.jpg",
    }
    assert data.notes[0] == (
        "2 images of train are left out: twins of images of validation or test (data.exclude_twins)"
    )
    assert data.key != before.key
    np.testing.assert_array_equal(data.test.images, before.test.images)
    kept = [name not in ("train/cat/copy.png", "train/dog/near.jpg") for name in before.names["train"]]
    np.testing.assert_array_equal(data.train.images, before.train.images[kept])
    np.testing.assert_array_equal(data.train.labels, before.train.labels[kept])
    assert data.headers is not None
    assert set(data.headers["train"].formats) == {"PNG"}
    assert audit_data(data, None).leaked == {"validation": 0, "test": 0}


def test_the_command_counts_what_is_left(scans: Path) -> None:
    report = inspect_data(replace(SETTINGS, exclude_twins=True), env={}, cwd=scans.parent, cache=None)
    assert report.counts["train"] == {"cat": 10, "dog": 10}
    assert report.files is not None
    assert (report.files.used, report.files.ignored) == (36, {"twins of validation or test": 2})
    assert report.files.every == sum(path.is_file() for path in scans.rglob("*"))
    assert report.key == loaded(scans, exclude_twins=True).key


def test_a_union_leaves_out_what_any_of_its_parts_has_in_validation_or_test(scans: Path) -> None:
    shutil.copytree(scans, scans.parent / "other")
    for name in ("val", "test"):  # cut from train, so that it is judged on what the other part trains on
        shutil.rmtree(scans / name)
    parts = {"near": SETTINGS, "far": replace(SETTINGS, root="other")}
    settings = UnionSettings(parts=parts, image_size=32, channels=1)
    env = {"EVOSEARCH_DATA": str(scans.parent)}
    before, after = (
        load_dataset(replace(settings, exclude_twins=one), env=env, cwd=Path("/nowhere"), cache=None)
        for one in (False, True)
    )
    leaked = audit_data(before, None).leaked
    assert leaked["validation"] and leaked["test"]
    assert audit_data(after, None).leaked == {"validation": 0, "test": 0}
    assert any(name.startswith("far/") for name in set(before.names["train"]) - set(after.names["train"]))
    assert after.test_parts == before.test_parts


def test_among_small_images_only_equal_ones_are_left_out_and_the_note_says_so(scans: Path) -> None:
    data = load_dataset(
        replace(SETTINGS, image_size=8, exclude_twins=True), env={}, cwd=scans.parent, cache=None
    )
    assert len(data.train) == 21
    assert data.notes[0].startswith(
        "1 image of train is left out: equal to images (near twins are not looked for among so many or so small)"
    )


def test_a_class_that_train_loses_whole_is_named(scans: Path) -> None:
    for path in (scans / "train/cat").iterdir():
        if path.name != "copy.png":
            path.unlink()
    with pytest.raises(DataError, match="class 'cat' has 8 images, none of them in train"):
        loaded(scans, exclude_twins=True)
