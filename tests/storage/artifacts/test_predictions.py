"""Answers to test images, in an event and beside it."""

import numpy as np
import pytest

from evosearch.errors import CannotRunError
from evosearch.evaluation import Prediction
from evosearch.storage import ArtifactStore, pack, unpack
from evosearch.storage.artifacts.predictions import MOST_IN_EVENT, set_aside

WEIGHTS = "final/key/term-1-attempt-1.safetensors"
BESIDE = "final/key/term-1-attempt-1.predictions.json"


def answers(images, classes):
    rng = np.random.default_rng(0)
    labels = rng.integers(classes, size=images)
    return labels, Prediction(rng.dirichlet(np.ones(classes), images).astype(np.float32))


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(str(tmp_path))


def check(found, labels, prediction):
    assert (found.labels.dtype, found.predicted.dtype, found.probabilities.dtype) == ("i8", "i8", "f2")
    assert (found.labels == labels).all()
    assert (found.predicted == prediction.probabilities.argmax(axis=1)).all()
    assert (found.probabilities == prediction.probabilities.astype("f2")).all()
    assert not found.probabilities.flags.writeable


def test_what_was_packed_comes_back(store):
    labels, prediction = answers(20, 3)
    check(unpack(pack(labels, prediction), "split", store), labels, prediction)


def test_the_predicted_class_is_kept_where_shortened_probabilities_are_equal(store):
    probabilities = np.array([[0.50001, 0.49999], [0.49999, 0.50001]], np.float32)
    found = unpack(pack(np.array([0, 1]), Prediction(probabilities)), "split", store)
    assert (found.probabilities[0] == found.probabilities[1]).all()
    assert found.predicted.tolist() == [0, 1]


def test_a_small_one_stays_in_the_event(store):
    packed = pack(*answers(100, 2))
    assert set_aside(packed, WEIGHTS, store) is packed
    assert store.list() == ()


def test_a_large_one_is_a_file_whose_hash_is_in_the_event(store):
    labels, prediction = answers(3000, 60)
    packed = pack(labels, prediction)
    assert len(packed["float16"]) > MOST_IN_EVENT
    kept = set_aside(packed, WEIGHTS, store)
    assert (kept["images"], kept["classes"], kept["artifact"]) == (3000, 60, BESIDE)
    assert store.list() == (BESIDE,)
    check(unpack(kept, "split", store), labels, prediction)


def test_a_file_that_is_gone_or_another_is_named_with_the_repair(store, tmp_path):
    kept = set_aside(pack(*answers(3000, 60)), WEIGHTS, store)
    (tmp_path / BESIDE).write_text("{}")
    with pytest.raises(CannotRunError, match=rf"{BESIDE} are not those that the journal names; bring"):
        unpack(kept, "split", store)
    store.remove(BESIDE)
    with pytest.raises(CannotRunError, match=rf"{BESIDE} are missing; bring the search's folder back"):
        unpack(kept, "split", store)


@pytest.mark.parametrize(
    "change", [{"images": 4}, {"float16": "AAAA"}, {"labels": "%"}, {"predicted": 3}, {"classes": "x"}]
)
def test_what_is_no_such_form_is_an_error_of_the_value(store, change):
    with pytest.raises((LookupError, TypeError, ValueError)):
        unpack({**pack(*answers(5, 2)), **change}, "split", store)
