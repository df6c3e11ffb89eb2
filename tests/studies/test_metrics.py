import json

import numpy as np
import numpy.typing as npt
import pytest

from evosearch.studies import Metrics, classification_metrics


def probabilities(*rows: tuple[float, ...]) -> npt.NDArray[np.float32]:
    return np.array(rows, dtype=np.float32)


def test_two_classes_by_hand() -> None:
    # positive is the second class; taken for positive: images 1, 3, 4; truly positive: 2, 3, 4
    labels = np.array([0, 0, 1, 1, 1])
    positive = (0.2, 0.8, 0.4, 0.9, 0.6)
    found = classification_metrics(labels, probabilities(*((1 - p, p) for p in positive)), ("no", "yes"))
    # of the 6 pairs (negative, positive) 0.2 ranks below all three, 0.8 below one: 4 of 6 in order
    assert found.auroc == pytest.approx(4 / 6)
    assert found.accuracy == 3 / 5
    assert (found.precision, found.recall, found.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert found.confusion == ((1, 1), (1, 2))
    assert (found.classes, found.images, found.auroc_undefined) == (("no", "yes"), 5, None)
    assert found.positive == "yes"


def test_three_classes_are_averaged_by_hand() -> None:
    labels = np.array([0, 0, 1, 2])
    rows = ((0.8, 0.1, 0.1), (0.3, 0.6, 0.1), (0.2, 0.7, 0.1), (0.5, 0.2, 0.3))
    found = classification_metrics(labels, probabilities(*rows), ("a", "b", "c"))
    assert found.confusion == ((1, 1, 0), (0, 1, 0), (1, 0, 0))
    assert found.accuracy == 2 / 4
    assert found.precision == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)  # c is never predicted: counts 0
    assert found.recall == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert found.f1 == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)
    assert found.positive is None
    # one against the rest: a 0.8 beats both others, 0.3 beats 1 of 2: 3/4; b 0.7 beats all: 1; c 0.3 beats all: 1
    assert found.auroc == pytest.approx((3 / 4 + 1 + 1) / 3)


def test_a_class_without_images_leaves_the_curve_undefined_and_says_so() -> None:
    rows = probabilities((0.9, 0.1), (0.2, 0.8))
    found = classification_metrics(np.array([0, 0]), rows, ("no", "yes"))
    assert (found.auroc, found.auroc_undefined) == (None, "no image of class yes")
    assert (found.accuracy, found.precision, found.recall, found.f1) == (0.5, 0, 0, 0)
    assert found.confusion == ((1, 1), (0, 0))


def test_three_classes_of_which_one_has_no_image() -> None:
    rows = probabilities((0.8, 0.1, 0.1), (0.1, 0.8, 0.1))
    found = classification_metrics(np.array([0, 1]), rows, ("a", "b", "c"))
    assert found.auroc_undefined == "no image of class c"
    assert found.confusion == ((1, 0, 0), (0, 1, 0), (0, 0, 0))
    assert found.recall == pytest.approx(2 / 3)


def test_the_json_form_is_json() -> None:
    found = classification_metrics(np.array([0, 1]), probabilities((0.9, 0.1), (0.2, 0.8)), ("no", "yes"))
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["confusion"] == [[1, 0], [0, 1]]
    assert document["auroc"] == 1.0
    assert set(document) == set(Metrics.__dataclass_fields__)
