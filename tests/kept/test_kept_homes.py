"""Searches that older versions began: each is read, resumed, extended and retrained by this one, and ends as the version
that began it ended it.

What is compared is the search itself: every candidate with its parents, fitness and attempts, every generation, the
best, and the readings of the test split. Words (operators, reasons) may be put better, but stay as journaled.
"""

import json
import re
import sqlite3
from pathlib import Path

import pytest

from evosearch.config import load_config, read_config
from evosearch.data import load_dataset
from evosearch.errors import SearchConflictError
from evosearch.genome import in_words
from evosearch.studies import predictions_of
from tests.kept.homes import (
    DOUBLES,
    FOLDER,
    NO_NETWORK,
    ONE_GENERATION,
    REWORDED,
    SCHEMA_2,
    SCHEMA_3,
    SCHEMA_4,
    SCHEMA_5,
    KeptHome,
    events_of,
    facts,
    reading_document,
    record,
    reword,
    seen,
)

OF_STATUS = ("name", "state", "generation", "generations", "evaluations", "best")
OF_READING = ("number", "epochs", "seed", "metrics")
BESIDE = {"operators", "operations", "reasons", "worker"}
"""Of an evaluation: what is told of it beside its course."""


def go_on(api, home, kept, **named):
    resume = api.resume_group if home.members_of(kept.name) else api.resume
    return resume(kept.name, home, **named)


def generations_of(kept, end):
    status = kept.expected[end]["status"]
    return status.get("members", [status])[0]["generations"]


def run_again(api, home, kept):
    config, source = read_config(kept.config)
    if home.members_of(kept.name):
        seeds = [int(name.partition("seed-")[2]) for name in kept.members]
        return api.run_group(config, seeds, home, source=source)
    return api.run(config, home, source=source)


def check_end(kept, home, end):
    """The search as read now is as expected at this `end`, and so is what was journaled since it was kept."""
    expected, found = kept.expected[end], record(kept.name, kept)
    assert course(found, expected) == course(expected, expected)
    for name, after in kept.expected["sequence"].items():
        journaled = [recorded.event for recorded in home.journal.replay(name, after)]
        assert facts(journaled) == facts(events_of(expected, name))


def operators_of(document):
    """By search (of a group) and number."""
    return {(row.get("search"), row["number"]): row["operators"] for row in document["results"]}


def course(document, expected):
    """Of a record, what decides about a search; keys that a later version added are left out."""
    document = seen(document, expected)
    status, results = document["status"], document["results"]
    members = [{key: one[key] for key in OF_STATUS} for one in status.get("members", [status])]
    rows = [{key: row[key] for key in row.keys() - BESIDE} for row in results]
    return members, rows, document["generations"], document["readings"]


def without_guesses(document):
    """Without what each version guesses in its own way: when a search will end."""
    status = document["status"]
    for one in status.get("members", [status]):
        one.pop("estimated_seconds_left", None)
    return document


def test_it_is_read_as_the_version_that_wrote_it_read_it(kept):
    kept, pools = kept
    expected = kept.expected["kept"]
    assert without_guesses(seen(record(kept.name, kept), expected)) == without_guesses(expected)
    assert not pools


def test_resumed_it_comes_to_the_end_that_it_would_have_come_to(kept, api):
    kept, pools = kept
    with kept.open() as home:
        go_on(api, home, kept)
        check_end(kept, home, "resumed")
        assert len(pools) == (not kept.was_done)
        run_again(api, home, kept)
        check_end(kept, home, "resumed")
        assert len(pools) == (not kept.was_done)


def test_extended_it_comes_to_the_end_that_it_would_have_come_to(kept, api):
    kept, _ = kept
    with kept.open() as home:
        if kept.name in ONE_GENERATION:
            with pytest.raises(SearchConflictError, match="all one generation"):
                go_on(api, home, kept, generations=2)
        else:
            go_on(api, home, kept, generations=generations_of(kept, "extended"))
            check_end(kept, home, "extended")


def test_with_every_operator_reworded_it_comes_to_the_same_end(kept, monkeypatch, api):
    kept, _ = kept
    reword(monkeypatch)
    end = "resumed" if kept.name in ONE_GENERATION else "extended"
    with kept.open() as home:
        go_on(api, home, kept, generations=None if end == "resumed" else generations_of(kept, end))
        check_end(kept, home, end)
    journaled = operators_of(kept.expected["kept"])
    for candidate, operators in operators_of(record(kept.name, kept)).items():
        # masks are bred, not made by operators on a chromosome
        new = [] if kept.name in NO_NETWORK else [in_words(REWORDED), *operators[1:]]
        assert operators == journaled.get(candidate, new)


def test_run_with_its_own_configuration_and_retrained_it_reads_what_it_would_have_read(kept, api):
    kept, pools = kept
    with kept.open() as home:
        run_again(api, home, kept)
        searched = len(pools)
        recorded = {one["epochs"] for one in kept.readings if one["metrics"]}
        for epochs, expected in kept.expected["retrained"].items():
            for _ in range(2):  # the second time it is found
                reading = reading_document(*api.retrain(kept.members[0], home, epochs=int(epochs)))
                read = {key: reading[key] for key in OF_READING}
                assert seen(read, expected) == {key: expected[key] for key in OF_READING}
        assert len(pools) - searched == len(kept.expected["retrained"]) - len(recorded)


def test_a_recorded_reading_is_found_by_its_old_key_and_printed_again(unpacked, api):
    kept, pools = unpacked("retrained")
    (recorded,) = kept.readings
    with kept.open() as home:
        found = reading_document(*api.retrain("retrained", home))
        assert seen(found, recorded) == recorded
    printed = json.loads(kept.command("retrain", "retrained", "--json"))
    assert seen(printed, recorded["metrics"]) == recorded["metrics"]
    assert not pools


@pytest.mark.parametrize("name", ["retrained", "readings", "judged"])
def test_of_a_reading_of_before_no_answers_are_known_and_of_one_of_now_they_are(name, unpacked, api):
    kept, _ = unpacked(name)
    with kept.open() as home:
        before = [one for one in home.journal.test_readings(name) if one.metrics]
        assert [predictions_of(home, one) for one in before] == [None] * len(before)
        (reading,) = api.retrain(name, home, epochs=9)
        found = predictions_of(home, reading)
        assert len(found.labels) == reading.metrics["images"]
        assert [predictions_of(home, one) for one in before] == [None] * len(before)


def test_a_reading_that_was_begun_and_never_ended_is_made(unpacked, api):
    kept, pools = unpacked("retraining_begun")
    (begun,) = kept.readings
    assert begun["metrics"] is None
    with kept.open() as home:
        (reading,) = api.retrain("retraining_begun", home)
    expected = kept.expected["retrained"][str(begun["epochs"])]["metrics"]
    assert seen(reading_document(reading)["metrics"], expected) == expected
    assert len(pools) == 1


def test_the_pictures_are_those_that_the_searches_began_with(kept):
    kept, _ = kept
    with kept.open() as home:
        journaled = {home.find_search(name).data_key for name in kept.members}
    data = load_config(kept.config).data
    assert {load_dataset(data, env={}, cwd=Path.cwd(), cache=None).key} == journaled


# What the homes are, together


def files():
    return [file for name in DOUBLES for file in (FOLDER / name).iterdir()]


def test_there_is_a_folder_for_every_home():
    assert {folder.name for folder in FOLDER.iterdir()} == set(DOUBLES)


def test_they_name_no_place_of_the_machine_that_wrote_them():
    assert not [file for file in files() if re.search(rb"/(tmp|root|home|work|Users)\b", file.read_bytes())]


def rows_of_all(query, homes="*"):
    """The rows that a query finds in every kept journal that is a file, of `homes` of these names."""
    rows = []
    for journal in FOLDER.glob(f"{homes}/journal.db"):
        connection = sqlite3.connect(f"{journal.as_uri()}?mode=ro&immutable=1", uri=True)
        rows += connection.execute(query).fetchall()
        connection.close()
    return rows


def test_between_them_they_hold_every_kind_of_event():
    assert {kind for (kind,) in rows_of_all("SELECT kind FROM events")} == {
        *(
            "SearchCreated",
            "DriverStarted",
            "Born",
            "GenerationStarted",
            "Dispatched",
            "Finished",
            "Recalled",
            "VerdictReached",
        ),
        *("Failed", "Reopened", "Extended", "Interrupted", "Stopped", "Completed"),
        *("TestReadingBegun", "TestRead", "TestReadingFailed", "ProcessorSeen"),
    }


def test_between_them_they_hold_every_kind_of_failure_that_a_worker_can_have():
    failed = rows_of_all("SELECT payload FROM events WHERE kind = 'Failed'")
    kinds = {json.loads(payload)["failure"]["kind"] for (payload,) in failed}
    assert kinds == {"out_of_memory", "diverged", "timed_out", "worker_lost", "crashed", "error"}


@pytest.mark.parametrize("homes", ["*", "bred"])
@pytest.mark.parametrize(
    "operator",
    [
        *("copied", "crossed tails", "crossed heads", "shrink", "grow", "dropped the last pooling"),
        *("first gene became", "became a copy of", "redrawn"),
    ],
)
def test_between_them_they_hold_candidates_of_every_operator_and_so_does_one_of_schema_2(operator, homes):
    assert rows_of_all(f"SELECT number FROM evaluations WHERE operators LIKE '%{operator}%'", homes)


@pytest.mark.parametrize("name", sorted(DOUBLES.keys() - {"postgres"}))
def test_each_has_the_schema_of_the_version_that_wrote_it(name):
    schemas = {5: SCHEMA_5, 4: SCHEMA_4, 3: SCHEMA_3, 2: SCHEMA_2}
    schema = next((number for number, names in schemas.items() if name in names), 1)
    assert rows_of_all("SELECT schema FROM meta", name) == [(schema,)]


def test_immigrants_of_the_next_generation_had_been_trained_and_were_in_training_when_one_was_killed():
    early = [row for row in KeptHome("early").expected["kept"]["results"] if row["generation"] == 2]
    assert KeptHome("early").expected["kept"]["status"]["generation"] == 1
    assert {row["status"] for row in early} == {"done", "running"}
