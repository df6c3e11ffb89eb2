"""What file headers alone give away."""

from dataclasses import replace

import numpy as np
import pytest

from evosearch.data import Dataset, Headers, Split, shortcut_on_test
from evosearch.data.headers import header_features, join_headers
from evosearch.data.shortcuts import shortcut_on_validation, split_shifts
from evosearch.errors import DataError
from tests.data.audited import headers_of

RNG = np.random.default_rng(0)


def files_of(count: int, *, wide: float) -> Headers:
    """Files of any size; the share `wide` of them is twice as wide."""
    sizes = RNG.integers(100, 300, (count, 2))
    sizes[: round(wide * count), 0] *= 3
    return headers_of([(int(width), int(height)) for width, height in RNG.permutation(sizes)])


def data_of(headers: dict[str, Headers], labels: dict[str, np.ndarray]) -> Dataset:
    splits = [
        Split(np.zeros((len(labels[split]), 1, 4, 4), np.uint8), labels[split].astype(np.int64))
        for split in ("train", "validation", "test")
    ]
    return Dataset(*splits, ("a", "b"), "key", headers=headers)


def test_features_are_formats_and_modes_that_occur_and_the_size() -> None:
    headers = {
        "train": join_headers([headers_of([(40, 20)]), headers_of([(30, 30)], "JPEG", "RGB")]),
        "test": headers_of([(10, 40)], "PNG", "RGBA"),
    }
    features = header_features(headers)
    assert features["train"].tolist() == [[0, 1, 1, 0, 0, 40, 20, 2], [1, 0, 0, 1, 0, 30, 30, 1]]
    assert features["test"].tolist() == [[0, 1, 0, 0, 1, 10, 40, 0.25]]


def test_a_class_that_has_a_format_of_its_own_is_guessed_without_a_pixel() -> None:
    labels = {
        split: np.arange(count) % 2 for split, count in (("train", 60), ("validation", 20), ("test", 20))
    }
    headers = {
        split: Headers(
            np.where(of == 1, "PNG", "JPEG"), np.full(len(of), "RGB"), np.full((len(of), 2), 224, np.int64)
        )
        for split, of in labels.items()
    }
    data = data_of(headers, labels)
    assert (shortcut_on_validation(data), shortcut_on_test(data)) == (1.0, 1.0)


def test_validation_is_judged_without_the_labels_of_test() -> None:
    labels = {split: np.arange(40) % 2 for split in ("train", "validation", "test")}
    headers = {split: headers_of([(100 + 9 * int(one), 100) for one in of]) for split, of in labels.items()}
    data = data_of(headers, labels)
    other = replace(data, test=replace(data.test, labels=1 - data.test.labels))
    assert shortcut_on_validation(other) == shortcut_on_validation(data) == 1
    assert (shortcut_on_test(data), shortcut_on_test(other)) == (1, 0)


def test_images_without_files_have_no_shortcut() -> None:
    labels = {split: np.arange(4) % 2 for split in ("train", "validation", "test")}
    data = replace(data_of({}, labels), headers=None)
    assert (shortcut_on_validation(data), shortcut_on_test(data)) == (None, None)


def test_headers_of_other_images_are_refused() -> None:
    labels = {split: np.arange(4) % 2 for split in ("train", "validation", "test")}
    headers = {split: headers_of([(9, 9)] * 4) for split in labels} | {"test": headers_of([(9, 9)] * 3)}
    with pytest.raises(DataError, match="headers of 3 images of test, which has 4"):
        shortcut_on_test(data_of(headers, labels))


def test_splits_of_one_source_are_not_told_apart() -> None:
    shifts = split_shifts(
        {
            "train": files_of(300, wide=0.3),
            "validation": files_of(80, wide=0.3),
            "test": files_of(90, wide=0.3),
        }
    )
    assert len(shifts) == 3
    assert not any(shift.told_apart for shift in shifts)


def test_a_split_of_another_source_is_told_apart_and_comes_first() -> None:
    worst, *others = split_shifts(
        {"train": files_of(300, wide=0), "validation": files_of(80, wide=0), "test": files_of(90, wide=0.9)}
    )
    assert (worst.other, worst.told_apart) == ("test", True)
    assert worst.auroc > 0.8
    assert [shift.told_apart for shift in others if "test" not in (shift.one, shift.other)] == [False]


def test_where_all_headers_are_equal_and_of_very_small_splits_nothing_is_asked() -> None:
    equal = headers_of([(224, 224)] * 50)
    assert split_shifts({"train": equal, "validation": equal, "test": equal}) == ()
    small = files_of(4, wide=0)
    assert split_shifts({"train": small, "validation": small, "test": small}) == ()
