"""What is left of a damaged journal: the first events of each search, up to the last commit that is whole."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from evosearch.storage import DriverStarted, Journal, open_journal
from evosearch.storage.backups.rescue import Written
from evosearch.storage.backups.salvage import salvage
from evosearch.testing.journal_contract import STORY, born, found, started


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with open_journal(tmp_path / "journal.db", must_exist=False) as journal:
        yield journal


def create(file: Path) -> Journal:
    return open_journal(file, must_exist=False)


def salvaged(journal: Journal, tmp_path: Path, name: str = "s") -> tuple[int, Path]:
    journal.close()
    file = tmp_path / "salvaged.db"
    with closing(sqlite3.connect(tmp_path / "journal.db")) as source:
        return salvage(source, file, Written(name, 1, journal_end(source, name)), create), file


def journal_end(source: sqlite3.Connection, name: str) -> int:
    row = source.execute("SELECT sequence FROM searches WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row else 0


def change(tmp_path: Path, statement: str) -> None:
    with closing(sqlite3.connect(tmp_path / "journal.db")) as connection:
        connection.execute(statement)
        connection.commit()


def test_searches_whose_events_are_whole_are_what_they_were(journal: Journal, tmp_path: Path) -> None:
    for name in ("s", "t"):
        started(journal, name, STORY)
        journal.begin_term(name, 1, DriverStarted("node2", 5, "ray", {}), 200.0)
        journal.beat(name, 2, 260.0)
    told = {name: list(journal.replay(name)) for name in ("s", "t")}
    rows = {name: journal.evaluations(name, with_curve=True) for name in ("s", "t")}
    for table in ("evaluations", "reasons", "generations", "test_readings", "drivers"):
        change(tmp_path, f"DROP TABLE {table}")
    count, file = salvaged(journal, tmp_path)
    assert count == len(STORY) + 3
    with open_journal(file, must_exist=True) as after:
        for name in ("s", "t"):
            assert list(after.replay(name)) == told[name]
            assert after.evaluations(name, with_curve=True) == rows[name]
            row = found(after, name)
            assert (row.term, row.host, row.pid, row.executor, row.heartbeat) == (2, "node2", 5, "ray", 200.0)
            assert row.seconds == 10.0  # of the first; what the second one's heartbeats told is gone


@pytest.mark.parametrize("damage", ["DELETE FROM events WHERE", "UPDATE events SET payload = '{' WHERE"])
def test_a_commit_that_is_not_whole_is_left_out(journal: Journal, tmp_path: Path, damage: str) -> None:
    term = started(journal, story=[born(0), born(1)])
    journal.append("s", term, [born(2), born(3), born(4)], 130.0)
    change(tmp_path, f"{damage} sequence = 7")
    count, file = salvaged(journal, tmp_path)
    assert count == 4
    with open_journal(file, must_exist=True) as after:
        assert [row.number for row in after.evaluations("s")] == [0, 1]
        assert after.append("s", term, [born(2)], 140.0) == 5


@pytest.mark.parametrize("damage", ["DELETE FROM events", "DROP TABLE events", "DROP TABLE searches"])
def test_where_nothing_is_left_there_is_no_file(journal: Journal, tmp_path: Path, damage: str) -> None:
    started(journal)
    end = Written("s", 1, 2)
    change(tmp_path, damage)
    journal.close()
    with closing(sqlite3.connect(tmp_path / "journal.db")) as source:
        assert salvage(source, tmp_path / "salvaged.db", end, create) == 0
    assert not list(tmp_path.glob("salvaged*"))


def test_what_is_left_of_another_search_does_not_count(journal: Journal, tmp_path: Path) -> None:
    started(journal, "s")
    started(journal, "t")
    change(tmp_path, "DELETE FROM events WHERE search = 1")
    count, _ = salvaged(journal, tmp_path)
    assert count == 0
