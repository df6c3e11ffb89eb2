"""The end of a search, and a reading of the test split, for a person and as JSON."""

from dataclasses import replace
from pathlib import Path

import pytest

from evosearch.reports import (
    reading_document,
    reading_lines,
    reading_row,
    readings_lines,
    search_lines,
    winner_lines,
)
from evosearch.storage import TestReading
from evosearch.studies import reading_key
from tests.reports.rows import DONE, SEARCH

FOLDER = Path("/home/me/runs/pets")
PLACE = "s3://bucket/pets"
METRICS = {
    "accuracy": 0.75,
    "precision": 0.5,
    "recall": 0.25,
    "f1": 1 / 3,
    "auroc": 0.875,
    "auroc_undefined": None,
    "confusion": [[1234, 5], [67, 8]],
    "classes": ["NonCOVID", "COVID"],
    "images": 1314,
    "validation_accuracy": 0.8125,
    "seconds": 12.0,
}
READING = TestReading(
    "candidate-7",
    7,
    30,
    99,
    METRICS,
    "final/candidate-7/model.safetensors",
    search="pets/final-30",
    place=2,
    total=3,
)


def test_a_finished_search_says_what_was_done_the_best_in_words_and_where_everything_lies():
    lines = search_lines(SEARCH, DONE, 2, FOLDER, PLACE)
    assert lines[0] == "pets: done, 5 generations, 10 evaluations (1 failed) in 1 min 40 s"
    assert "Best: validation accuracy 0.8750, candidate 7 of generation 1" in lines
    assert "  C8 P | F5" in lines
    assert any(line.startswith("  In words: a 3x3 convolution to 8 channels, a 2x2 max") for line in lines)
    assert "  12,345 parameters, 67.9 MFLOPs per image" in lines
    assert f"Evolution curve  {FOLDER}/evolution.png" in lines
    assert f"Everything else  {PLACE}" in lines
    assert lines[-2:] == [
        "Next             evosearch results pets  every chromosome",
        "                 evosearch retrain pets  train and test the best",
    ]


def test_what_was_remembered_of_equal_networks_is_not_counted_as_trained():
    first = search_lines(replace(SEARCH, recalled=3), DONE, 2, FOLDER, PLACE)[0]
    assert first == "pets: done, 5 generations, 10 evaluations, 7 trainings (1 failed) in 1 min 40 s"


def test_with_rungs_networks_are_told_beside_evaluations():
    halving = {"strategy": {"halving": {"epochs": [1, 2], "keep": 0.5}}}
    row = replace(SEARCH, configuration=halving, candidates=6)
    first = search_lines(row, DONE, 2, FOLDER, PLACE)[0]
    assert first == "pets: done, 5 generations, 6 networks, 10 evaluations (1 failed) in 1 min 40 s"


def best_lines(row=SEARCH, best=DONE, largest=None):
    lines = search_lines(row, best, 2, FOLDER, PLACE, largest)
    at = next(place for place, line in enumerate(lines) if line.startswith("Best"))
    return lines[at : at + 2]


def test_the_best_stands_beside_what_the_largest_class_reaches_alone():
    assert best_lines(largest=("cat", 0.75))[1] == (
        "  0.7500 is reached by always answering 'cat', the largest class"
    )


@pytest.mark.parametrize("share", [0.875, 0.95])
def test_a_best_that_the_largest_class_reaches_alone_is_marked(share):
    assert best_lines(largest=("cat", share))[1].startswith(
        f"  no better than always answering 'cat', the largest class, which reaches {share:.4f}"
    )


@pytest.mark.parametrize(
    ("fitness", "words"),
    [
        ("accuracy", "accuracy 0.8750"),
        ("balanced_accuracy", "balanced accuracy 0.8750 (accuracy 0.9375)"),
        ("f1", "F1 0.8750 (accuracy 0.9375)"),
        ("auroc", "AUROC 0.8750 (accuracy 0.9375)"),
    ],
)
def test_the_best_says_what_it_is_the_best_by(fitness, words):
    row = replace(SEARCH, configuration={"strategy": {"fitness": fitness}})
    first, _ = best_lines(row, replace(DONE, accuracy=0.9375))
    assert first == f"Best: validation {words}, candidate 7 of generation 1"


def test_a_best_that_was_trained_several_times_is_told_as_a_mean():
    often = replace(DONE, trainings=3, accuracy=0.9375)
    words = "0.8750, mean of 3 trainings, candidate 7 of generation 1"
    assert best_lines(best=often)[0] == f"Best: validation accuracy {words}"
    row = replace(SEARCH, configuration={"strategy": {"fitness": "f1"}})
    assert best_lines(row, often)[0] == f"Best: validation F1 {words}"


@pytest.mark.parametrize(
    ("fitness", "classes", "best", "line"),
    [
        ("balanced_accuracy", 4, 0.3, "  0.2500 is reached by always answering one and the same class"),
        (
            "balanced_accuracy",
            2,
            0.5,
            "  no better than always answering one and the same class, which reaches 0.5000",
        ),
        ("auroc", 2, 0.51, "  0.5000 is reached by always answering the same"),
        ("auroc", 2, 0.49, "  no better than always answering the same, which reaches 0.5000"),
        ("f1", 2, 0.9, "  C8 P | F5"),
    ],
)
def test_the_best_is_held_against_a_constant_answer_by_what_the_search_goes_by(fitness, classes, best, line):
    row = replace(SEARCH, configuration={"strategy": {"fitness": fitness}})
    found = replace(DONE, fitness=best, accuracy=0.99)
    lines = search_lines(row, found, classes, FOLDER, PLACE, ("cat", 0.95))
    at = next(place for place, text in enumerate(lines) if text.startswith("Best"))
    assert lines[at + 1] == line


@pytest.mark.parametrize("best", [None, replace(DONE, fitness=None)])
def test_a_search_in_which_nothing_succeeded_points_to_the_reasons(best):
    row = replace(SEARCH, counts={"done": 0, "failed": 10})
    assert search_lines(row, best, 2, FOLDER, PLACE) == [
        "pets: done, 5 generations, 10 evaluations (10 failed) in 1 min 40 s",
        "No evaluation succeeded (1 diverged); `evosearch results pets --format csv` has every reason",
    ]


def test_a_reading_as_json_is_the_network_and_its_metrics():
    assert reading_document("pets", READING, PLACE) == {
        "name": "pets",
        "number": 7,
        "epochs": 30,
        "seed": 99,
        "search": "pets/final-30",
        "reading": 2,
        "readings": 3,
        "weights": "s3://bucket/pets/final/candidate-7/model.safetensors",
        **METRICS,
    }


def test_a_reading_for_a_person():
    assert reading_lines("pets", READING, PLACE) == [
        "pets: candidate 7 after 30 epochs, on 1,314 test images",
        "  reading 2 of 3 of this test split for this search",
        "",
        "  accuracy           0.7500",
        "  balanced accuracy  0.5513",
        "  precision          0.5000",
        "  recall             0.2500",
        "  F1                 0.3333",
        "  AUROC              0.8750",
        "  always answering the largest class would reach accuracy 0.9429",
        "  validation accuracy of the same network: 0.8125",
        "",
        "  confusion (rows: true class, columns: predicted)",
        "              NonCOVID     COVID",
        "    NonCOVID      1234         5",
        "    COVID           67         8",
        "",
        f"Weights  {PLACE}/final/candidate-7/model.safetensors",
    ]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"positive": "COVID"}, "  precision, recall and F1 are of the class COVID"),
        (
            {"positive": None, "classes": ["a", "b", "c"], "confusion": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]},
            "  precision, recall and F1 are means over the classes",
        ),
    ],
)
def test_a_reading_says_whose_precision_recall_and_f1_are(more, line):
    assert line in reading_lines("pets", replace(READING, metrics=METRICS | more), PLACE)


def test_a_class_without_a_test_image_is_left_out_of_the_balanced_accuracy():
    metrics = METRICS | {"confusion": [[3, 1], [0, 0]], "images": 4}
    assert "  balanced accuracy  0.7500" in reading_lines("pets", replace(READING, metrics=metrics), PLACE)


def test_a_training_that_ended_early_says_when_and_whose_weights_were_kept():
    early = METRICS | {"ended_after": 11, "judged_epoch": 5}
    first, *_ = reading_lines("pets", replace(READING, metrics=early), PLACE)
    assert first == (
        "pets: candidate 7 after 11 of at most 30 epochs, by the weights of epoch 5, on 1,314 test images"
    )


def test_figures_have_their_intervals_and_parts_of_the_test_split_a_line_each():
    part = METRICS | {"images": 5, "balanced_accuracy": 0.5, "intervals": {"accuracy": [0.25, 0.875]}}
    more = {
        "specificity": 0.5,
        "intervals": {"accuracy": [0.5, 1.0], "specificity": None},
        "parts": {"ward": part},
    }
    lines = reading_lines("pets", replace(READING, metrics=METRICS | more), PLACE)
    assert "  accuracy           0.7500  (0.5000 to 1.0000)" in lines
    assert "  specificity        0.5000" in lines
    assert (
        "    ward: 5 images, accuracy 0.7500  (0.2500 to 0.8750), balanced 0.5000, "
        f"AUROC {METRICS['auroc']:.4f}"
    ) in lines


def test_the_winner_is_named_with_where_it_is_and_how_it_is_loaded():
    assert winner_lines("pets", PLACE, {"candidate": 7, "retraining": "pets/final-30"}) == [
        f"Winner   {PLACE}/winner.safetensors",
        '         candidate 7, of pets/final-30; in Python evosearch.open("pets").load_network()',
    ]


def test_an_undefined_auroc_says_why():
    undefined = METRICS | {"auroc": None, "auroc_undefined": "no image of class COVID"}
    lines = reading_lines("pets", replace(READING, metrics=undefined), PLACE)
    assert "  AUROC              undefined: no image of class COVID" in lines


@pytest.mark.parametrize(
    ("classes", "confusion"),
    [
        (["0", "1", "2"], [[1, 0, 0], [0, 123456, 0], [0, 0, 3]]),
        (["a cat with a long name", "b"], [[1, 2], [3, 4]]),
    ],
)
def test_the_columns_of_the_confusion_table_end_under_their_classes(classes, confusion):
    metrics = METRICS | {"classes": classes, "confusion": confusion}
    lines = reading_lines("pets", replace(READING, metrics=metrics), PLACE)
    start = lines.index("  confusion (rows: true class, columns: predicted)") + 1
    header, *rows = lines[start : start + 1 + len(classes)]
    assert {len(row) for row in rows} == {len(header)}
    position = 4 + max(6, *map(len, classes))
    for number, name in enumerate(classes):
        end = header.index(name, position) + len(name)
        for row, counts in zip(rows, confusion, strict=True):
            assert row[position:end].split()[-1] == str(counts[number])
        position = end


def test_several_readings_have_a_mean_and_a_deviation():
    other = replace(READING, metrics=METRICS | {"accuracy": 0.25})
    assert readings_lines([READING, other]) == [
        "2 of 3 readings of this test split for this search: accuracy 0.5000 ± 0.3536 (mean ± deviation)"
    ]


def test_a_reading_in_a_line_says_which_of_how_many_it_is_and_whether_it_ended():
    assert reading_row(READING) == (
        "candidate 7, 30 epochs, reading 2 of 3 of this test split for this search: test accuracy 0.7500"
    )
    assert reading_row(replace(READING, metrics=None)).endswith("for this search: begun, and never ended")
    only = replace(READING, place=1, total=1)
    assert "reading 1 of this test split" in reading_row(only)


def test_a_reading_in_a_line_says_in_what_its_network_was_trained_otherwise_than_by_default():
    key = reading_key(7, 30, 99, "train_validation", 9, 64 * "a")
    assert reading_row(replace(READING, key=key)).startswith(
        "candidate 7, 30 epochs, fit train_validation, patience 9, weights aaaaaaaaaaaa, reading 2 of 3 "
    )
    plain = replace(READING, key=reading_key(7, 30, 99))
    assert reading_row(plain) == reading_row(READING)
