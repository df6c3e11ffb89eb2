"""What ten plain statistics of the pixels are, and what they alone give away."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evosearch.data import Dataset, Split, audit, audit_data, first_look, kept_audit, pixels_on_test
from evosearch.data.pixel_statistics import STATISTICS, pixel_statistics
from evosearch.data.shortcuts import pixels_on_validation
from tests.data.audited import dataset_of, of_different_scans

COUNTS = {"train": 60, "validation": 30, "test": 30}


def noise(brighter: int, counts: dict[str, int] = COUNTS, channels: int = 1) -> Dataset:
    """Pure noise of both classes in turn, whose second class is so many levels brighter."""
    rng = np.random.default_rng(0)
    splits = []
    for count in counts.values():
        labels = np.arange(count) % 2
        images = rng.integers(0, 200, (count, channels, 16, 16)) + brighter * labels[:, None, None, None]
        splits.append(Split(images.astype(np.uint8), labels.astype(np.int64)))
    return Dataset(*splits, ("a", "b"), "key")


def test_the_ten_are_what_they_are_called() -> None:
    image = np.full((8, 8), 10)
    image[1:7, 1:7] = 50
    image[:, 3] = 90
    (found,) = pixel_statistics(image[None, None].astype(np.uint8))
    middle, every = image[1:7, 1:7], image.ravel()
    border = (every.sum() - middle.sum()) / 28
    assert dict(zip(STATISTICS, found, strict=True)) == pytest.approx(
        {
            "mean": every.mean(),
            "standard deviation": every.std(),
            "minimum": 10,
            "maximum": 90,
            "10 % quantile": 10,
            "median": 50,
            "90 % quantile": np.quantile(every, 0.9),
            "change from column to column": 8 * 160 / 56,
            "change from row to row": 5 * 2 * 40 / 56,
            "border against middle": border - middle.mean(),
        }
    )


def test_colours_are_their_mean_and_some_rows_are_those_of_all() -> None:
    coloured = noise(40, channels=3).train.images
    gray = coloured.mean(axis=1, keepdims=True)
    every = pixel_statistics(coloured)
    assert every[:, 0] == pytest.approx(gray.mean(axis=(1, 2, 3)))
    assert every[:, 3] == pytest.approx(gray.max(axis=(1, 2, 3)))
    rows = np.array([3, 50])
    assert (pixel_statistics(coloured, rows) == every[rows]).all()


def test_many_images_are_unpacked_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    images = noise(0).train.images
    whole = pixel_statistics(images)
    monkeypatch.setattr("evosearch.data.pixel_statistics._AT_ONCE", 7 * 256)
    assert (pixel_statistics(images) == whole).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 2), (3, 3)])
def test_very_small_images_have_ten_numbers_too(shape: tuple[int, int]) -> None:
    found = pixel_statistics(np.arange(np.prod(shape), dtype=np.uint8).reshape(1, 1, *shape))
    assert found.shape == (1, 10)
    assert np.isfinite(found).all()


def test_a_class_that_is_its_brightness_is_found_and_said() -> None:
    made = audit_data(noise(40), None)
    assert (made.pixels_validation, made.constant_answer) == (1.0, 0.5)
    assert made.caveats == (
        "ten statistics of the pixels alone (brightness, contrast, sharpness, border) are right on 100.0% of validation, a "
        "constant answer on 50.0%: a network that does no better need not have seen what pictures show",
    )


def test_pure_noise_is_not_found() -> None:
    made = audit_data(noise(0), None)
    assert made.pixels_chance is not None
    assert made.pixels_chance > 0.01
    assert made.caveats == ()


def test_a_class_that_is_its_sharpness_is_found() -> None:
    data = noise(0)
    for name in ("train", "validation", "test"):
        split = getattr(data, name)
        second = split.labels[:, None, None, None] == 1
        blurred = np.where(second, np.sort(split.images, axis=3), split.images)  # of each row the same values
        data = replace(data, **{name: Split(blurred, split.labels)})
    assert (pixels_on_validation(data), pixels_on_test(data)) == (1.0, 1.0)


def test_validation_is_judged_without_the_test_split() -> None:
    data = noise(40)
    other = replace(data, test=Split(255 - data.test.images, 1 - data.test.labels))
    relabelled = replace(data, test=Split(data.test.images, 1 - data.test.labels))
    assert audit_data(other, None).pixels_validation == audit_data(data, None).pixels_validation == 1
    assert (pixels_on_test(data), pixels_on_test(relabelled)) == (1, 0)


def test_they_are_kept_with_the_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = audit_data(noise(40), tmp_path)
    for name in ("find_all", "with_pixels"):
        monkeypatch.delattr(audit, name)
    assert audit_data(noise(40), tmp_path) == made
    assert made.to_json()["pixels_validation"] == 1


def test_an_older_audit_is_read_without_them_and_they_are_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = noise(40)
    made = audit_data(data, tmp_path)
    (path,) = tmp_path.iterdir()
    older = {name: value for name, value in made.to_json().items() if not name.startswith("pixels")}
    path.write_text(json.dumps(older | {"caveats": []}))
    monkeypatch.delattr(audit, "find_all")
    kept = kept_audit(data, tmp_path)
    assert kept is not None
    assert (kept.pixels_validation, kept.pixels_chance, kept.caveats) == (None, None, ())
    assert audit_data(data, tmp_path) == made
    assert kept_audit(data, tmp_path) == made


def test_whoever_begins_a_search_neither_waits_for_them_nor_hears_of_them(tmp_path: Path) -> None:
    data = noise(40)
    assert first_look(data, tmp_path) == ()
    kept = kept_audit(data, tmp_path)
    assert kept is not None
    assert kept.pixels_validation is None
    audit_data(data, tmp_path)
    assert first_look(data, tmp_path) == ()


def test_of_scans_that_differ_in_nothing_else_nothing_is_said() -> None:
    assert audit_data(dataset_of(of_different_scans(COUNTS)), None).caveats == ()
