"""How a search stands, as JSON, lines and a table."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from evosearch.reports import (
    Estimate,
    SearchSnapshot,
    last_heard,
    status_document,
    status_lines,
    status_table,
)
from evosearch.storage import LiveRow, TestReading
from evosearch.studies import Contender, Contest
from tests.reports.rows import DONE, SEARCH

RUNNING = SearchSnapshot(SEARCH, "running", DONE, 20, left=Estimate(100.0, sure=True))
NEW = SearchSnapshot(
    replace(SEARCH, generation=-1, seconds=0.0, counts=dict.fromkeys(SEARCH.counts, 0), failed={}),
    "interrupted",
    None,
    20,
)


def test_as_json():
    assert status_document(RUNNING) == {
        "name": "pets",
        "state": "running",
        "generation": 2,
        "generations": 5,
        "evaluations": {"done": 9, "running": 2, "failed": {"diverged": 1}, "total": 20, "recalled": 0},
        "best": {"number": 7, "chromosome": "C8 P | F5", "fitness": 0.875},
        "seconds": 100.0,
        "heartbeat": 0.0,
        "estimated_seconds_left": 100.0,
        "trainings": [],
        "message": "",
        "environment": {"device": "cpu"},
        "precision": "fp32",
        "parent": None,
        "retrainings": [],
        "readings": [],
        "confirmation": None,
    }


def test_retrainings_and_readings_stand_below_their_search():
    child = replace(RUNNING, row=replace(RUNNING.row, name="pets/final-30", parent="pets"), total=3)
    reading = TestReading("key", 7, 30, 99, {"accuracy": 0.75}, "w", search="pets/final-30")
    snapshot = replace(RUNNING, children=(child,), readings=(reading,))
    document = status_document(snapshot)
    assert [(one["name"], one["parent"]) for one in document["retrainings"]] == [("pets/final-30", "pets")]
    assert document["readings"] == [
        {
            "search": "pets/final-30",
            "number": 7,
            "epochs": 30,
            "seed": 99,
            "reading": 1,
            "readings": 1,
            "accuracy": 0.75,
        }
    ]
    retraining, read, *confirmation = status_lines(snapshot)[-6:]
    assert confirmation == [
        "  Accuracy of candidate 7",
        "    believed           0.8750 on the validation images in the search, the best of 9 by accuracy",
        "    confirmed          not known: the validation images were trained on too",
        "    test               0.7500 on the test images after 30 epochs from 1 fresh seed",
    ]
    assert retraining.split() == [
        "retraining",
        "pets/final-30:",
        "running,",
        "9",
        "of",
        "3",
        "trained,",
        "failed:",
        "1",
        "diverged",
    ]
    assert "test accuracy 0.7500" in read
    assert "  pets/final-30" in map(str, status_table([snapshot]).columns[0].cells)


def test_of_contenders_the_winner_is_told_and_no_single_training():
    won = Contender(replace(DONE, number=4, candidate=4, chromosome="C4 |"), 0.8, (0.5, 0.75))
    contest = Contest((Contender(DONE, 0.875, (0.25, 0.9)), won))
    row = replace(SEARCH, name="pets/contenders", parent="pets")
    child = replace(RUNNING, row=row)
    told = replace(RUNNING, contest=contest, children=(child,))
    assert (
        "  winner       candidate 4: 0.6250, mean of 2 fresh trainings, the best of 2 contenders by these: C4 |"
        in status_lines(told)
    )
    assert status_document(told)["winner"] == {
        "number": 4,
        "chromosome": "C4 |",
        "believed": 0.8,
        "fresh": [0.5, 0.75],
        "contenders": 2,
    }
    assert [line.split()[5] for line in table_of(told)[1:3]] == ["0.8750", "0.6250"]
    assert "0.8750" not in table_of(replace(told, contest=None))[2]
    assert "  retrains     contenders of pets" in status_lines(child)


def test_a_list_of_networks_has_no_generation():
    row = replace(SEARCH, generation=0, generations=1, configuration={"strategy": {"name": "list"}})
    listed = replace(RUNNING, row=row)
    assert not any("generation" in line for line in status_lines(listed))
    assert table_of(listed)[1].split()[2] == "-"


def test_as_json_what_is_not_known_is_null():
    document = status_document(NEW)
    assert (document["best"], document["estimated_seconds_left"]) == (None, None)


@pytest.mark.parametrize("state", ["interrupted", "failed", "done"])
def test_what_a_killed_driver_left_behind_is_not_running(state):
    assert status_document(replace(RUNNING, state=state))["evaluations"]["running"] == 0


LIVE = LiveRow(8, None, "node1-gpu0-2", 3, 100, 0.69314, 0.5), LiveRow(9, 20, "w2", 1, 20, 0.7, 0.25)


def test_trainings_under_way_are_told_with_their_newest_epoch():
    snapshot = replace(RUNNING, live=LIVE)
    assert status_document(snapshot)["trainings"][0] == {
        "number": 8,
        "until": None,
        "worker": "node1-gpu0-2",
        "epoch": 3,
        "epochs": 100,
        "loss": 0.69314,
        "accuracy": 0.5,
    }
    assert status_lines(snapshot)[-2:] == [
        "  training     candidate 8 on node1-gpu0-2: epoch 3 of 100, loss 0.6931, accuracy 0.5000",
        "  training     candidate 9 until epoch 20 on w2: epoch 1 of 20, loss 0.7000, accuracy 0.2500",
    ]


def test_a_training_that_nothing_judges_is_told_by_its_loss():
    live = (replace(LIVE[0], accuracy=None),)
    assert status_lines(replace(RUNNING, live=live))[-1] == (
        "  training     candidate 8 on node1-gpu0-2: epoch 3 of 100, loss 0.6931"
    )


@pytest.mark.parametrize("state", ["interrupted", "failed", "done"])
def test_what_a_killed_driver_left_behind_is_no_training_under_way(state):
    snapshot = replace(RUNNING, state=state, live=LIVE)
    assert status_document(snapshot)["trainings"] == []
    assert not any("training" in line for line in status_lines(snapshot))


def test_as_lines():
    assert status_lines(RUNNING) == [
        "pets: running",
        "  generation   2 (0 to 4)",
        "  evaluations  9 done, 2 running, failed: 1 diverged; 20 in all",
        "  elapsed      1 min 40 s",
        "  precision    fp32",
        "  left         1 min 40 s",
        "  best         0.8750, candidate 7: C8 P | F5",
    ]


def test_as_lines_another_fitness_than_the_accuracy_is_named():
    row = replace(SEARCH, configuration={"strategy": {"name": "eavl", "fitness": "balanced_accuracy"}})
    (line,) = [line for line in status_lines(replace(RUNNING, row=row)) if line.startswith("  best ")]
    assert line.startswith("  best         balanced accuracy 0.8750")


def test_a_best_that_was_trained_several_times_is_told_as_a_mean():
    often = replace(RUNNING, best=replace(DONE, trainings=3))
    assert status_lines(often)[-1] == "  best         0.8750, mean of 3 trainings, candidate 7: C8 P | F5"
    assert status_document(often)["best"]["trainings"] == 3
    assert table_of(often)[-1] == "best of pets: mean of its trainings"


def test_with_rungs_networks_are_told_beside_evaluations():
    halved = replace(
        SEARCH,
        configuration={"strategy": {"halving": {"epochs": [1, 2], "keep": 0.5}}},
        candidates=6,
        at_rungs=5,
        recalled=1,
    )
    assert "  networks     6, 3 of them trained to their end" in status_lines(replace(RUNNING, row=halved))


def test_when_a_driver_was_last_heard_of_is_an_age_only_by_the_clock_that_wrote_it():
    row = replace(SEARCH, host="node1", pid=12, heartbeat=86_400.0)
    assert last_heard(row, "node1", 86_475.0) == "1 min 15 s ago"
    assert last_heard(row, "node1", 86_300.0) == "0 s ago"
    assert last_heard(row, "node2", 86_475.0) == "at 1970-01-02 00:00:00 UTC by its own clock"
    assert last_heard(replace(row, heartbeat=1e300), "node2", 0.0) == "1e+300 s after 1970 by its own clock"
    told = "  driver       process 12 on node1, last heard of 1 min 15 s ago"
    assert told in status_lines(replace(RUNNING, row=row, heard="1 min 15 s ago"))
    assert told not in status_lines(replace(RUNNING, row=row, heard="1 min 15 s ago", state="interrupted"))


def test_as_lines_a_search_that_stands_still_has_its_reason_and_no_end():
    row = replace(SEARCH, message="SIGTERM", failed={"diverged": 1, "error": 2})
    lines = status_lines(SearchSnapshot(row, "interrupted", DONE, 20))
    assert lines[0] == "pets: interrupted (SIGTERM)"
    assert "failed: 1 diverged, 2 error; 20 in all" in lines[2]
    assert not any(line.startswith("  left") for line in lines)


def test_as_lines_a_search_that_was_never_driven():
    assert status_lines(NEW) == [
        "pets: interrupted",
        "  generation   not begun",
        "  evaluations  0 done, 0 running, failed: none; 20 in all",
        "  elapsed      0 s",
        "  precision    fp32",
    ]


def table_of(*snapshots, width=None):
    text = io.StringIO()
    Console(file=text, width=200).print(status_table(snapshots, width))
    return [line.rstrip() for line in text.getvalue().splitlines()]


def test_as_a_table_one_search_a_row():
    assert table_of(RUNNING, NEW) == [
        "search  state        gen.  done  running    best  elapsed     left  failed",
        "pets    running       2/4  9/20        2  0.8750  0:01:40  0:01:40  1 diverged",
        "pets    interrupted   -/4  0/20        0          0:00:00           none",
    ]


def test_a_long_search_of_a_group_fits_100_columns_with_its_failures():
    row = replace(
        SEARCH,
        name="covid_ct_small/seed-0",
        seconds=43_000.0,
        generation=19,
        generations=20,
        counts={"waiting": 0, "running": 12, "done": 700, "failed": 12},
        failed={"error": 12},
    )
    lines = table_of(
        SearchSnapshot(row, "running", DONE, 810, left=Estimate(5919.0, sure=True)),
        replace(NEW, row=replace(NEW.row, name="x")),
    )
    assert lines[1].split()[2:] == ["19/19", "700/810", "12", "0.8750", "11:56:40", "1:38:39", "12", "error"]
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("width", [60, 80, 100])
def test_on_a_terminal_no_row_is_wider_and_what_is_left_out_is_named(width):
    row = replace(SEARCH, name="covid_ct_small/seed-0", seconds=43_000.0, failed={"error": 12})
    lines = table_of(SearchSnapshot(row, "interrupted", DONE, 810), RUNNING, width=width)
    assert max(map(len, lines)) <= width
    for kept in ("covid_ct_small/seed-0", "interrupted", "9/810", "0.8750"):
        assert kept in lines[1]
    assert ("left out at this width: running" in " ".join(lines)) == (width < 100)
    assert ("failed" in lines[0]) == (width >= 80)


def test_the_table_says_what_the_best_is_where_it_is_no_accuracy():
    balanced = replace(SEARCH, name="cats", configuration={"strategy": {"fitness": "balanced_accuracy"}})
    alone = replace(RUNNING, row=balanced)
    assert table_of(alone)[-1] == "best: balanced accuracy"
    assert table_of(alone, RUNNING)[-1] == "best: balanced accuracy of cats"
    assert not any("best:" in line for line in table_of(RUNNING))
