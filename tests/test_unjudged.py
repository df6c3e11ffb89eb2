"""Trainings that use the validation images too: they have no fitness, and everything else goes its way."""

import json
from dataclasses import replace

import pytest

from evosearch import retraining
from evosearch.cli.progress import _told
from evosearch.errors import ConfigError, SearchConflictError
from evosearch.reports import group_lines, reading_lines, results_document, search_lines
from evosearch.search import FixedListSettings, ListedTrial
from evosearch.session import SearchSession
from evosearch.storage import Finished, VerdictReached

LIST = FixedListSettings(trials=(ListedTrial("C4 P | F6"), ListedTrial("C4 P | F6", 1), ListedTrial("C5 |")))


@pytest.fixture
def listed(config):
    return replace(config, strategy=LIST, training=replace(config.training, fit="train_validation"))


def test_a_search_that_chooses_by_the_validation_images_refuses_to_train_on_them(home, config, scripted, api):
    with pytest.raises(
        ConfigError,
        match=r"^training\.fit is train_validation, but eavl chooses by the validation images; leave training\.fit out",
    ):
        api.run(replace(config, training=replace(config.training, fit="train_validation")), home)
    assert home.journal.searches() == ()


def test_a_list_ends_without_a_best_and_says_why(home, listed, scripted, api):
    ended = api.run(listed, home)
    assert ended.best is None
    assert (ended.row.state, ended.row.counts["done"], ended.row.counts["failed"]) == ("done", 3, 0)
    rows = home.journal.evaluations("tiny", with_curve=True)
    assert {(row.status, row.fitness, row.accuracy) for row in rows} == {("done", None, None)}
    assert json.loads(json.dumps(results_document(rows), allow_nan=False))[0]["curve"][0][1] is None
    events = [recorded.event for recorded in home.journal.replay("tiny")]
    assert not any(isinstance(event, VerdictReached) for event in events)
    assert [_told(event).split()[1] for event in events if isinstance(event, Finished)] == ["unjudged"] * 3
    assert search_lines(ended.row, None, 10, ended.folder, ended.place)[1] == (
        "No best: the validation images were trained on too; `evosearch results tiny --format json` has every curve"
    )
    assert "tiny  no best: the validation images were trained on too" in group_lines(
        "group", [(ended.row, None)], ended.folder
    )
    with pytest.raises(
        SearchConflictError,
        match=r"^'tiny' has no best to retrain: the validation images were trained on too$",
    ):
        api.retrain("tiny", home)


def test_run_again_it_trains_nothing(home, listed, scripted, api):
    api.run(listed, home)
    api.run(listed, home)
    assert len(scripted) == 1


def test_retrained_networks_read_the_test_split_and_the_first_repeat_is_the_winner(
    home, config, scripted, api
):
    api.run(replace(config, final=replace(config.final, fit="train_validation")), home)
    readings = api.retrain("tiny", home, seeds=(3, 1, 2))
    assert [one.metrics["validation_accuracy"] for one in readings] == [None] * 3
    assert "  no validation accuracy: the validation images were trained on too" in reading_lines(
        "tiny", readings[0], "place"
    )
    row = home.find_search("tiny/final-1")
    session = SearchSession(
        home, retraining.configuration_of(row), row, retraining.DriveOptions.of(), home.find_search("tiny")
    )
    assert session.winner == readings[1]
