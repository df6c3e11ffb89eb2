"""What a search believed beside what was confirmed."""

from dataclasses import replace

import pytest

from evosearch.reports import confirmation_lines, confirmation_of
from evosearch.storage import TestReading as Reading
from tests.reports.rows import DONE, SEARCH

ROW = replace(SEARCH, configuration={"training": {"epochs": 20}}, recalled=2)


def reading(seed, accuracy=0.75, validation=0.8, number=7, more=""):
    metrics = {"accuracy": accuracy, "validation_accuracy": validation, "images": 200}
    key = f"candidate-{number}-epochs-30-seed-{seed}{more}"
    return Reading(key, number, 30, seed, metrics, "w", "pets/final-30")


def test_the_believed_one_is_the_best_of_all_that_were_trained_and_the_confirmed_ones_are_means():
    found = confirmation_of(ROW, DONE, [reading(1, 0.7, 0.8), reading(2, 0.8, 0.84)])
    assert (found.candidate, found.believed, found.candidates, found.believed_epochs) == (7, 0.875, 7, 20)
    assert (found.search, found.epochs, found.trainings) == ("pets/final-30", 30, 2)
    assert (found.validation.mean, found.validation.deviation) == pytest.approx((0.82, 0.0283), abs=1e-4)
    assert (found.test.mean, found.test.deviation) == pytest.approx((0.75, 0.0707), abs=1e-4)
    assert found.interval == pytest.approx((0.6857, 0.8048), abs=1e-3)
    assert found.to_json()["test"] == {"mean": found.test.mean, "deviation": found.test.deviation}


def test_further_trainings_are_no_candidates():
    row = replace(ROW, repeated=3)
    assert confirmation_of(row, DONE, [reading(1)]).candidates == 9 - 2 - 3


def test_it_says_so_in_four_lines():
    assert confirmation_lines(confirmation_of(ROW, DONE, [reading(1, 0.7), reading(2, 0.8)])) == [
        "Accuracy of candidate 7",
        "  believed           0.8750 on the validation images in the search after 20 epochs, the best of 7 by accuracy",
        "  confirmed          0.8000 ± 0.0000 on the same images after 30 epochs from 2 fresh seeds",
        "  test               0.7500 ± 0.0707 on 200 test images after 30 epochs from 2 fresh seeds; "
        "95 % 0.6857 to 0.8049 over the images alone",
    ]
    assert confirmation_lines(None) == []


def test_what_was_not_retrained_is_not_confirmed():
    begun = replace(reading(1), metrics=None)
    assert confirmation_of(ROW, DONE, []) is None
    assert confirmation_of(ROW, None, [reading(1)]) is None
    assert confirmation_of(ROW, DONE, [begun, reading(2, number=5)]) is None


def test_only_what_was_trained_as_the_newest_is_averaged():
    found = confirmation_of(ROW, DONE, [reading(1, 0.5), reading(1, 0.7, more="-patience-3")])
    assert (found.trainings, found.test.mean) == (1, 0.7)


def test_trainings_that_may_end_early_are_of_so_many_epochs_at_most():
    one = reading(1, more="-patience-3")
    found = confirmation_of(ROW, DONE, [replace(one, metrics={**one.metrics, "ended_after": 9})])
    assert found.ends_early
    assert "after at most 30 epochs from 1 fresh seed" in confirmation_lines(found)[2]


def test_networks_that_started_from_given_weights_are_told_apart_from_those_from_random_ones():
    warm = reading(3, 0.9, more="-from-0123456789ab")
    found = confirmation_of(ROW, DONE, [reading(1, 0.5), warm])
    assert (found.trainings, found.test.mean, found.given_weights) == (1, 0.9, True)
    assert "after 30 epochs from given weights and 1 fresh seed" in confirmation_lines(found)[2]
    cold = confirmation_of(ROW, DONE, [warm, reading(1, 0.5)])
    assert (cold.trainings, cold.test.mean, cold.given_weights) == (1, 0.5, False)


def test_where_the_validation_images_were_trained_on_too_they_confirm_nothing():
    found = confirmation_of(ROW, DONE, [reading(1, validation=None)])
    assert found.validation is None
    assert "not known: the validation images were trained on too" in confirmation_lines(found)[2]


def test_a_search_by_another_measure_is_shown_with_its_accuracy():
    row = replace(ROW, configuration={"strategy": {"fitness": "f1"}})
    found = confirmation_of(row, replace(DONE, fitness=0.9, accuracy=0.6), [reading(1)])
    assert (found.believed, found.measure, found.believed_epochs) == (0.6, "f1", None)
    assert (
        "0.6000 on the validation images in the search, the best of 7 by F1" in confirmation_lines(found)[1]
    )


@pytest.mark.parametrize("images", ["many", -3, 10**30, None])
def test_a_count_of_images_that_is_none_gives_no_interval(images):
    one = reading(1)
    found = confirmation_of(ROW, DONE, [replace(one, metrics={**one.metrics, "images": images})])
    assert (found.images, found.interval) == (None, None)
    assert "on the test images after" in confirmation_lines(found)[3]
