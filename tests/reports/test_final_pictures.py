"""Learning and ROC curves of a retraining, as pictures."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score, roc_curve

from evosearch.reports import draw_learning, draw_roc
from evosearch.reports.curve import MOST_NAMED
from evosearch.reports.final_pictures import MOST_CLASSES, learning_figure, roc_figure
from evosearch.storage import Predictions
from tests.reports.rows import DONE

CURVE = ((0.9, 0.5), (0.6, 0.7), (0.4, 0.65))
ROW = replace(DONE, repeat=1, curve=CURVE)
EARLY = replace(DONE, repeat=2, curve=CURVE, validation_losses=(0.8, 0.5, 0.7))
UNJUDGED = replace(DONE, repeat=3, curve=((0.9, None), (0.6, None)))


def answers(classes, images=60, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=images)
    rows = rng.dirichlet(np.ones(classes), images)
    rows[np.arange(images), labels] += 0.4
    rows /= rows.sum(axis=1, keepdims=True)
    return Predictions(labels, rows.argmax(axis=1), rows.astype("f2"), "split")


def drawn(axes):
    return [list(zip(*line.get_data(), strict=True)) for line in axes.lines]


def legend(figure):
    return [text.get_text() for one in figure.legends for text in one.get_texts()]


def names(count):
    return [f"class {number}" for number in range(count)]


# Learning


def test_the_loss_is_above_and_the_validation_accuracy_below():
    figure = learning_figure("pets/final-3", [ROW])
    upper, lower = figure.axes
    assert drawn(upper) == [[(1, 0.9), (2, 0.6), (3, 0.4)]]
    assert drawn(lower) == [[(1, 0.5), (2, 0.7), (3, 0.65)]]
    assert legend(figure) == ["seed 1"]


def test_a_validation_loss_is_dashed_and_its_lowest_marked():
    upper, _ = learning_figure("pets/final-3", [EARLY]).axes
    training, validation, lowest = upper.lines
    assert (training.get_linestyle(), validation.get_linestyle()) == ("-", "--")
    assert drawn(upper)[1:] == [[(1, 0.8), (2, 0.5), (3, 0.7)], [(2, 0.5)]]
    assert lowest.get_marker() == "v"


def test_where_nothing_validates_the_picture_says_so():
    _, lower = learning_figure("pets/final-2", [UNJUDGED]).axes
    assert drawn(lower) == [[]]
    assert [text.get_text() for text in lower.texts] == ["no image is left to validate with"]


def test_trainings_that_have_no_curve_are_left_out_and_many_have_one_name():
    rows = [replace(ROW, repeat=repeat) for repeat in range(1, MOST_NAMED + 2)]
    figure = learning_figure("pets/final-3", [replace(ROW, curve=()), *rows])
    assert len(figure.axes[0].lines) == MOST_NAMED + 1
    assert legend(figure) == ["each seed"]


def test_ways_of_training_are_told_apart_by_their_candidates():
    assert legend(learning_figure("pets", [ROW, replace(ROW, candidate=8)])) == ["seed 1 (7)", "seed 1 (8)"]


# ROC


def test_of_two_classes_each_reading_is_a_line_with_its_area():
    readings = {"seed 1": answers(2), "seed 2": answers(2, seed=1)}
    figure = roc_figure("pets/final-3", readings, ["NORMAL", "COVID"])
    areas = [roc_auc_score(one.labels, one.odds(1)) for one in readings.values()]
    assert legend(figure) == [f"seed {number}: AUROC {area:.4f}" for number, area in enumerate(areas, 1)]
    _, first, _ = drawn(figure.axes[0])
    assert (first[0], first[-1]) == ((0, 0), (1, 1))
    assert figure.axes[0].get_title() == "ROC of pets/final-3, 60 test images, 2 networks"


def test_of_two_classes_the_curve_is_of_the_positive_one():
    one = answers(2)
    for number, name in enumerate(("COVID", "NORMAL")):
        (axes,) = roc_figure("pets/final-3", {"seed 1": one}, ["COVID", "NORMAL"], positive=number).axes
        false, true, _ = roc_curve(one.labels == number, one.odds(number))
        assert drawn(axes)[1] == list(zip(false, true, strict=True))
        assert axes.get_xlabel() == f"false positive rate, positive: {name}"


def test_of_some_classes_each_is_a_line_against_the_rest():
    one = answers(3)
    figure = roc_figure("pets/final-3", {"seed 1": one}, ["cat", "dog", "$cow_$"])
    areas = [roc_auc_score(one.labels == number, one.odds(number)) for number in range(3)]
    assert legend(figure) == [
        f"{name}: AUROC {area:.4f}" for name, area in zip(("cat", "dog", r"\$cow_\$"), areas, strict=True)
    ]


def test_of_many_classes_the_mean_is_drawn():
    one = answers(MOST_CLASSES + 2, images=300)
    figure = roc_figure("pets/final-3", {"seed 1": one}, names(MOST_CLASSES + 2))
    areas = [roc_auc_score(one.labels == number, one.odds(number)) for number in range(MOST_CLASSES + 2)]
    assert legend(figure) == [f"seed 1: AUROC {np.mean(areas):.4f}"]


def test_a_class_without_an_image_has_no_line():
    one = answers(2)
    none = replace(one, labels=np.zeros(60, np.int64))
    assert legend(roc_figure("pets/final-3", {"seed 1": none}, names(2))) == []


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_both_are_files_that_are_whole(classes, tmp_path):
    draw_learning("pets/final-3", [ROW, EARLY], tmp_path / "new" / "learning.png")
    draw_roc("pets/final-3", {"seed 1": answers(classes)}, names(classes), tmp_path / "new" / "roc.png")
    for name, size in (("learning", (1200, 960)), ("roc", (960, 960))):
        with Image.open(tmp_path / "new" / f"{name}.png") as image:
            assert (image.format, image.size) == ("PNG", size)
    assert len(list((tmp_path / "new").iterdir())) == 2
