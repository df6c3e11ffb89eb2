"""Intervals of test figures, against scikit-learn, known tables and repeated draws."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support, roc_auc_score

from evosearch.studies import intervals, intervals_of, wilson
from evosearch.studies.intervals import FIGURES, figures_of


def answers(images: int, classes: int, seed: int = 0, hit: float = 0.5):
    """Labels and probabilities of a network that is better than chance."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=images)
    probabilities = rng.dirichlet(np.ones(classes), images)
    probabilities[np.arange(images), labels] += hit * rng.random(images)
    return labels, (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)


def confusion(labels, predicted, classes):
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, predicted), 1)
    return counts


@pytest.mark.parametrize("classes", [2, 4])
def test_figures_of_a_confusion_matrix_are_those_of_scikit_learn(classes):
    labels, probabilities = answers(200, classes)
    predicted = probabilities.argmax(axis=1)
    found = figures_of(confusion(labels, predicted, classes), 0)
    asked = None if classes > 2 else [0]
    told = precision_recall_fscore_support(labels, predicted, labels=asked, average="macro")
    assert (found["precision"], found["recall"], found["f1"]) == pytest.approx(told[:3])
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))


def test_the_specificity_of_one_class_is_the_recall_of_the_other():
    labels, probabilities = answers(100, 2)
    counts = confusion(labels, probabilities.argmax(axis=1), 2)
    assert figures_of(counts, 1)["specificity"] == figures_of(counts, 0)["recall"]


def test_areas_of_resampled_images_are_those_of_scikit_learn_also_with_ties():
    labels, probabilities = answers(80, 2)
    score = np.round(probabilities[:, 1], 1)
    weights = np.random.default_rng(1).integers(4, size=(5, 80))
    found = intervals._Ranking.of(labels == 1, score).areas(weights)
    assert found == pytest.approx([roc_auc_score(labels, score, sample_weight=one) for one in weights])


def test_wilsons_interval_has_the_published_bounds_and_none_of_nothing():
    # Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263, 15 of 148
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 0) is None


@pytest.mark.parametrize("classes", [2, 3])
def test_every_interval_holds_its_figure_and_is_the_same_from_the_same_seed(classes):
    labels, probabilities = answers(150, classes)
    found = intervals_of(labels, probabilities, 1, seed=7)
    assert tuple(sorted(found)) == tuple(sorted(FIGURES))
    point = figures_of(confusion(labels, probabilities.argmax(axis=1), classes), 1)
    for name, value in point.items():
        low, high = found[name]
        assert low < value < high
    assert intervals_of(labels, probabilities, 1, seed=7) == found
    assert intervals_of(labels, probabilities, 1, seed=8) != found


def test_the_interval_of_an_area_holds_the_true_one_about_as_often_as_it_says():
    # scores N(1, 1) against N(0, 1): the true area is Phi(1 / sqrt 2)
    true, held = 0.76025, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        labels = np.repeat([0, 1], 60)
        score = 1 / (1 + np.exp(-(rng.normal(size=120) + labels)))
        rows = np.stack([1 - score, score], axis=1).astype(np.float32)
        low, high = intervals_of(labels, rows, 1, seed)["auroc"]
        held += low < true < high
    assert 51 <= held <= 60


def test_where_a_class_has_no_image_its_shares_and_the_area_have_no_interval():
    _, probabilities = answers(30, 2)
    found = intervals_of(np.zeros(30, np.int64), probabilities, 1, seed=0)
    assert (found["auroc"], found["recall"]) == (None, None)
    assert found["accuracy"] is not None


def test_of_one_image_there_are_intervals_still():
    found = intervals_of(np.array([1]), np.array([[0.3, 0.7]], np.float32), 1, seed=0)
    assert found["accuracy"] == pytest.approx((0.2065, 1.0), abs=1e-4)
