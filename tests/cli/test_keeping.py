"""`upgrade`, `delete` and `backup`, and what the other commands do with a home of version 0.1.0."""

import json
import shutil
import sqlite3
import sys
import time
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest

from evosearch.storage.holding.locks import FileLocks
from evosearch.storage.journal.tables import SCHEMA
from tests.config.test_journaled import FIRST as CONFIGURATIONS
from tests.finished_search import EVALUATIONS
from tests.storage.journal.test_upgrade import ASSET, held_by_sqlite, schema_in


@pytest.fixture
def journal(command, tmp_path):
    """An old journal as the default home's."""
    (tmp_path / "runs").mkdir()
    path = shutil.copy(ASSET, tmp_path / "runs" / "journal.db")
    full = json.dumps(CONFIGURATIONS["defaults"])  # commands read it, the journal's contract does not
    change = "UPDATE events SET payload = json_set(payload, '$.configuration', json(?)) WHERE kind IN (?, ?)"
    held_by_sqlite(path, change, full, "SearchCreated", "DriverStarted")
    return path


@pytest.fixture
def alive(journal):
    """One of its searches has a driver that lives."""
    held_by_sqlite(journal, "UPDATE drivers SET last = ? WHERE search = 2", time.time())
    lock = FileLocks(journal.parent / "g" / "seed-3").acquire(1)
    yield
    lock.release(driven=True)


def test_commands_that_only_read_leave_an_old_journal_as_it_is(command, journal, alive):
    before = journal.read_bytes()
    rows = json.loads(command("status", "--json").out)
    assert {row["name"]: row["state"] for row in rows} == {
        "s": "done",
        "g/seed-3": "running",
        "new": "interrupted",
    }
    assert len(json.loads(command("results", "s", "--format", "json").out)) == 5
    assert journal.read_bytes() == before


def test_a_search_that_begins_in_an_old_home_upgrades_it(command, journal, scripted):
    ended = command("run", "tiny.yaml", "--executor", "local")
    assert ended.status == 0
    assert f"the journal {journal} was upgraded from schema 1 to {SCHEMA}; older versions" in ended.err
    assert schema_in(journal) == SCHEMA
    assert "upgraded" not in command("run", "tiny.yaml").err


def test_a_command_that_is_refused_upgrades_nothing(command, journal, refused):
    assert "'g' is a group of 1 search" in refused("run", "tiny.yaml", "--name", "g")
    assert schema_in(journal) == 1


def test_while_an_older_driver_lives_no_search_begins(command, journal, alive, scripted):
    ended = command("run", "tiny.yaml", "--executor", "local")
    assert ended.status == 4
    assert "search 'g/seed-3' is held by an older evosearch on node1 (process 4711)" in ended.err
    assert schema_in(journal) == 1
    assert command("upgrade").status == 4


def test_a_journal_that_nobody_takes_any_more_is_upgraded_on_request(command, journal):
    ended = command("upgrade")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith(
        f"the journal {journal} was upgraded from schema 1 to {SCHEMA}; older versions of"
    )
    again = command("upgrade", "--storage", str(journal))
    assert again.out == f"the journal {journal} is of this version's schema {SCHEMA} already\n"
    with closing(sqlite3.connect(journal)) as connection:
        assert connection.execute("SELECT schema FROM meta").fetchall() == [(SCHEMA,)]


def test_where_there_is_no_journal_there_is_nothing_to_upgrade(refused):
    assert refused("upgrade").startswith("there is no journal at ")


class Terminal(StringIO):
    """Somebody who types at a terminal."""

    def isatty(self):
        return True


def test_nothing_is_deleted_unasked_where_nobody_can_be_asked(own_finished, refused):
    assert (
        refused("delete", "tiny") == "deleting 'tiny' is for good, and nobody is here to be asked; add --yes"
    )
    assert own_finished("status", "tiny").status == 0


def test_a_deleted_search_is_gone_and_its_name_is_free(own_finished, scripted):
    own_finished("retrain", "tiny", "--executor", "local")
    ended = own_finished("delete", "tiny", "--yes")
    assert ended.status == 0
    assert ended.out.splitlines() == [
        f"deleted  tiny: done, {EVALUATIONS} evaluations",
        "deleted  tiny/final-1: done, 1 evaluation, 1 reading of the test split",
    ]
    assert own_finished("status", "tiny").status == 2
    assert not Path("runs/tiny").exists()
    again = own_finished("run", "tiny.yaml", "--executor", "local")
    assert again.status == 0
    assert json.loads(own_finished("status", "tiny", "--json").out)["evaluations"]["done"] == EVALUATIONS


def test_a_retraining_that_has_read_the_test_split_goes_with_its_search_alone(
    own_finished, refused, scripted
):
    own_finished("retrain", "tiny", "--executor", "local")
    assert refused("delete", "tiny/final-1", "--yes") == (
        "'tiny/final-1' has read the test split, and every reading is counted as long as 'tiny' is there; "
        "`evosearch delete tiny` removes both"
    )
    again = own_finished("retrain", "tiny", "--epochs", "2", "--executor", "local", "--json")
    assert json.loads(again.out)["readings"] == 2


@pytest.mark.parametrize(("typed", "status"), [("tiny\n", 0), ("y\n", 2), ("", 2)])
def test_at_a_terminal_the_name_is_asked_for(own_finished, monkeypatch, typed, status):
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    ended = own_finished("delete", "tiny")
    assert ended.status == status
    assert "Type tiny to delete:" in ended.err
    assert ("nothing is deleted" in ended.err) == (status == 2)
    assert own_finished("status", "tiny").status == 2 - status


def test_what_is_driven_is_not_deleted(own_finished):
    with closing(sqlite3.connect("runs/journal.db")) as journal:
        (term,) = journal.execute("select term from searches where name = 'tiny'").fetchone()
    lock = FileLocks(Path("runs/tiny").resolve()).acquire(term)
    ended = own_finished("delete", "tiny", "--yes")
    lock.release(driven=True)
    assert ended.status == 4
    assert "'tiny' is held by a driver" in ended.err
    assert own_finished("status", "tiny").status == 0


def test_a_copy_of_a_journal_is_read_like_any_other(own_finished, refused):
    ended = own_finished("backup", "tiny", "copy.db")
    assert (ended.status, ended.err) == (0, "")
    assert "with 1 search" in ended.out
    assert own_finished("results", "tiny", "--format", "json", "--storage", "copy.db").out == (
        own_finished("results", "tiny", "--format", "json").out
    )
    assert refused("backup", "tiny", "copy.db") == "copy.db exists and is left as it is; name another file"
    assert "no search 'tony'" in refused("backup", "tony", "other.db")


def test_an_old_journal_is_copied_as_it_is(command, journal, tmp_path):
    name = json.loads(command("status", "--json").out)[0]["name"]
    assert command("backup", name, "copy.db").status == 0
    assert schema_in(tmp_path / "copy.db") == schema_in(journal) < SCHEMA
