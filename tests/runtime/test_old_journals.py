"""Journals of every released schema, kept for ever: each must be read, and gone on with, by this version.

`assets/schema-N.db` is a search of `make_plan()` whose driver was killed half-way, after 15 transactions, written by
a version of schema N before the next one came (`python -m tests.runtime.test_old_journals N`). None is ever written
again.
"""

import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from evosearch.runtime import replay
from evosearch.storage import Born, DriverStarted, SearchCreated, open_journal, take
from evosearch.storage.journal.tables import SCHEMA
from tests.runtime.small_search import Drive, make_plan

ASSETS = Path(__file__).parent / "assets"
KEPT = 15


def write(file: Path) -> None:
    """A journal as a killed driver leaves it."""
    plan = make_plan()
    undisturbed = Drive(plan)
    undisturbed()
    configuration = {"strategy": {"generations": 4}}
    with open_journal(file, must_exist=False) as journal:
        journal.create_search(plan.name, SearchCreated(configuration, "data", {}, 4), 1.0)
        started = DriverStarted("host", 1, "local", configuration)
        with take(journal, file.parent / "locks", plan.name, started, lambda: 1.0) as held:
            for facts in undisturbed.logbook.transactions[1:KEPT]:
                journal.append(plan.name, held.term, facts, 1.0)


def test_there_is_a_journal_of_every_older_schema():
    assert {path.stem for path in ASSETS.glob("*.db")} == {f"schema-{n}" for n in range(1, SCHEMA)}


@pytest.mark.parametrize("file", sorted(ASSETS.glob("*.db")), ids=lambda path: path.stem)
def test_an_old_journal_is_read_and_its_search_ends_as_it_would_have(file, tmp_path):
    copy = Path(shutil.copy(file, tmp_path / "journal.db"))
    plan = make_plan()
    with open_journal(copy, must_exist=True) as journal:
        row = journal.find(plan.name)
        assert (row.state, row.generation, row.generations) == ("running", 1, 4)
        assert 0 < row.counts["done"] < plan.strategy.evaluations
        facts = [recorded.event for recorded in journal.replay(plan.name)]
        journal.rebuild()
        assert journal.find(plan.name) == row
        with take(
            journal, tmp_path / "small", plan.name, DriverStarted("h", 2, "ray", {}), time.time
        ) as held:
            assert held.term == row.term + 1
    assert replay(plan, facts).open
    expected = Drive(plan)()
    assert Drive(plan)(facts).search == expected.search


def test_a_search_goes_on_though_this_version_would_word_every_operator_otherwise(tmp_path):
    plan = make_plan()
    copy = Path(shutil.copy(ASSETS / "schema-1.db", tmp_path / "journal.db"))
    with open_journal(copy, must_exist=True) as journal:
        facts = [recorded.event for recorded in journal.replay(plan.name)]
    reworded = [
        replace(fact, candidate=replace(fact.candidate, operators=("in other words",)))
        if isinstance(fact, Born)
        else fact
        for fact in facts
    ]
    drive, again = Drive(plan), Drive(plan)
    assert again(reworded).search == drive(facts).search
    assert again.logbook.transactions[1:] == drive.logbook.transactions[1:]


if __name__ == "__main__":
    write(ASSETS / f"schema-{sys.argv[1]}.db")
