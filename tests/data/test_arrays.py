import pickle

import numpy as np
import pytest

from evosearch.blueprint import ImageShape
from evosearch.data import Dataset, Split, content_key
from evosearch.errors import DataError


def split(count: int = 2, value: int = 0) -> Split:
    return Split(np.full((count, 1, 4, 4), value, np.uint8), np.zeros(count, np.int64))


def test_arrays_of_another_kind_are_refused_at_birth() -> None:
    with pytest.raises(DataError, match=r"images are \(N, C, H, W\) uint8, found \(2, 4, 4\) uint8"):
        Split(np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int64))
    with pytest.raises(DataError, match=r"labels are \(N,\) int64, found \(3,\) int64"):
        Split(np.zeros((2, 1, 4, 4), np.uint8), np.zeros(3, np.int64))


def test_nobody_writes_into_the_images_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        split().images[0] = 1


def test_the_search_gets_no_test_images() -> None:
    data = Dataset(split(3), split(2, 1), split(1, 77), ("a", "b"), "key")
    assert data.for_search().image == ImageShape(1, 4, 4)
    assert b"\x4d" * 16 in pickle.dumps(data)
    assert b"\x4d" * 16 not in pickle.dumps(data.for_search())


def test_the_key_hears_every_pixel_label_class_and_split_border() -> None:
    relabelled = Split(split().images, np.ones(2, np.int64))
    keys = {
        content_key(splits, classes)
        for splits, classes in [
            ((split(2), split(1)), ("a", "b")),
            ((split(1), split(2)), ("a", "b")),
            ((split(2), split(1, 1)), ("a", "b")),
            ((relabelled, split(1)), ("a", "b")),
            ((split(2), split(1)), ("b", "a")),
        ]
    }
    assert len(keys) == 5
    assert all(len(key) == 20 for key in keys)


def test_the_test_split_has_a_key_of_its_own_that_no_other_cut_changes() -> None:
    data = Dataset(split(3), split(2, 1), split(1, 77), ("a", "b"), "key")
    cut_otherwise = Dataset(split(4), split(1, 1), split(1, 77), ("a", "b"), "another")
    assert cut_otherwise.test_key == data.test_key
    for other in (split(2, 77), split(1, 78)):
        assert Dataset(split(3), split(2, 1), other, ("a", "b"), "key").test_key != data.test_key
    assert Dataset(split(3), split(2, 1), split(1, 77), ("b", "a"), "key").test_key != data.test_key
