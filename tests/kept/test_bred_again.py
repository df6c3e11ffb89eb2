"""What operators did in searches whose journals keep words of it only: they are bred again, and tell the same."""

import json
from dataclasses import replace
from typing import get_args

import pytest

from evosearch.api import make_plan
from evosearch.config import config_from_json, load_config
from evosearch.data import load_dataset
from evosearch.genome import Exchanged, Grown, Mutated, Operation, Shrunk, in_words
from evosearch.runtime import bred_again
from evosearch.storage import Born


def retold(home, name, cwd):
    """The births of the search `name`, and what breeding them again tells, by number."""
    row = home.find_search(name)
    config = config_from_json(row.configuration)
    dataset = load_dataset(config.data, env={}, cwd=cwd, cache=None)
    events = [recorded.event for recorded in home.journal.replay(name)]
    plan = make_plan(config, dataset, row.generations)
    born = {event.candidate.number: event.candidate for event in events if isinstance(event, Born)}
    return born, bred_again(plan, events)


def first_versions_words(operation):
    """It left out what an individual was held against, and where a fragment came from."""
    words = in_words(operation)
    return words.partition(",")[0] if isinstance(operation, Shrunk | Grown) else words


@pytest.mark.parametrize("name", ["bred", "early", "extended", "failures", "random", "listed"])
def test_every_birth_of_an_old_journal_is_bred_again_to_the_words_that_were_kept(name, unpacked, tmp_path):
    kept, _ = unpacked(name)
    with kept.open() as home:
        born, again = retold(home, name, tmp_path)
    assert all(candidate.operations is None for candidate in born.values())
    told = {number: tuple(map(first_versions_words, operations)) for number, operations in again.items()}
    assert told == {number: candidate.operators for number, candidate in born.items()}
    assert len(born) >= 50 or name != "bred"


def test_results_have_the_data_of_old_births_where_that_is_asked_for(unpacked):
    kept, _ = unpacked("bred")
    plain = json.loads(kept.command("results", "bred", "--format", "json"))
    again = json.loads(kept.command("results", "bred", "--format", "json", "--breed-again"))
    assert all(row["operations"] is None for row in plain)
    for row in again:
        assert len(row["operations"]) == len(row["operators"])
        grown = [one for one in row["operations"] if one["kind"] == "grown"]
        assert all({"before", "length", "reference", "origin"} < one.keys() for one in grown)
    assert [{**row, "operations": None} for row in again] == plain


def test_every_birth_of_a_new_journal_is_bred_again_to_the_data_that_are_kept(unpacked, tmp_path, api):
    kept, _ = unpacked("bred")
    with kept.open() as home:
        api.run(replace(load_config(kept.config), name="anew"), home, executor="local")
        born, again = retold(home, "anew", tmp_path)
        old, _ = retold(home, "bred", tmp_path)
        rows = home.journal.evaluations("anew")
    assert again == {number: candidate.operations for number, candidate in born.items()}
    assert {row.number: row.operators for row in rows} == {n: one.words for n, one in born.items()}
    assert {number: tuple(map(first_versions_words, one.operations)) for number, one in born.items()} == {
        number: candidate.operators for number, candidate in old.items()
    }
    kinds = {type(operation) for operations in again.values() for operation in operations}
    assert kinds == set(get_args(Operation)) - {Exchanged, Mutated}  # EVO-CNN's alone
