"""Journals of an older schema on a server: as in files, in one transaction."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, MetaData, create_engine, event, select

from evosearch.errors import CannotRunError, HeldError, JournalAwayError
from evosearch.storage import Journal, Onlooker, open_home, open_journal
from evosearch.storage.holding.holder import undriven
from evosearch.storage.journal import postgres
from evosearch.storage.journal.tables import SCHEMA
from evosearch.storage.journal.upgrade import Check
from evosearch.testing.journal_contract import CREATED, found
from tests.storage.journal.test_upgrade import ASSET, Killed, told, upgrade_together
from tests.storage.postgres_server import PostgresServer

SERIAL = "SELECT pg_catalog.setval(pg_get_serial_sequence('searches', 'id'), (SELECT max(id) FROM searches))"


@pytest.fixture(scope="module")
def expected() -> list[Any]:
    """What readers get of the same journal in a file."""
    with open_journal(ASSET, must_exist=True) as journal:
        return told(journal)


@pytest.fixture
def old(database: str) -> str:
    """The URL of a journal of schema 1, with the tables and rows that version 0.1.0 made."""
    tables = MetaData()
    source = create_engine(f"sqlite:///file:{ASSET}?immutable=1&uri=true")
    server = create_engine(database.replace("postgresql:", "postgresql+psycopg:"))
    tables.reflect(source)
    with source.connect() as rows, server.begin() as connection:
        tables.create_all(connection)
        for table in tables.sorted_tables:
            found_rows = rows.execute(select(table)).mappings().all()
            if found_rows:
                connection.execute(table.insert(), [dict(row) for row in found_rows])
        connection.exec_driver_sql(SERIAL)
    source.dispose()
    server.dispose()
    return database


def schema_in(url: str) -> int:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT schema FROM meta").fetchone()[0]


def test_an_old_journal_is_read_and_stays_as_it_is(old: str, tmp_path: Path, expected: list[Any]) -> None:
    with open_home(old, env={}, cwd=tmp_path, create=False) as home:
        assert told(home.journal) == expected
    assert schema_in(old) == 1
    (copy,) = (tmp_path / "runs" / "cache").iterdir()
    assert "secret" not in copy.name
    with psycopg.connect(old) as driver:
        driver.execute("UPDATE drivers SET last = 500 WHERE term = 1")
    with open_home(old, env={}, cwd=tmp_path, create=False) as home:
        assert found(home.journal).heartbeat == 500


def test_the_first_write_upgrades(old: str, expected: list[Any]) -> None:
    with open_journal(old, must_exist=True) as journal:
        journal.create_search("more", CREATED, 1.0)
        assert told(journal) == expected
    assert schema_in(old) == SCHEMA


def test_of_several_upgraders_one_does_it_and_all_go_on(old: str, expected: list[Any]) -> None:
    assert upgrade_together(old, 3) == [0, 1, 2]
    with open_journal(old, must_exist=True) as journal:
        assert told(journal) == expected


@pytest.mark.parametrize("last", [8, 12, 20, 60])
def test_an_upgrade_that_is_cut_off_has_not_happened(old: str, last: int, expected: list[Any]) -> None:
    """All statements are of one transaction, so some stand for every one."""
    count = 0

    def step(connection: Any, *_: Any) -> None:
        nonlocal count
        count += connection.dialect.name == "postgresql"
        if count == last:
            raise Killed

    with open_journal(old, must_exist=True) as journal:
        event.listen(Engine, "before_cursor_execute", step)
        with pytest.raises(JournalAwayError):
            journal.upgrade()
        event.remove(Engine, "before_cursor_execute", step)
    assert schema_in(old) == 1
    with open_journal(old, must_exist=True) as journal:
        assert journal.upgrade()
        assert told(journal) == expected


@pytest.fixture
def reader(old: str) -> Iterator[psycopg.Connection]:
    """Another program's transaction that has read the journal and stands still."""
    with psycopg.connect(old) as connection:
        connection.execute("SELECT * FROM evaluations")
        yield connection


def test_a_reader_that_does_not_end_is_waited_for_and_then_told(
    old: str, reader: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "UPGRADE_LOCK_SECONDS", 1)
    with open_journal(old, must_exist=True) as journal:
        with pytest.raises(
            CannotRunError, match=r"is in use, so that it could not be upgraded within 1 s; run"
        ):
            journal.upgrade()
        reader.rollback()
        assert journal.upgrade()


def test_nothing_is_upgraded_while_an_older_driver_lives(old: str) -> None:
    def beat(_: float) -> None:
        with psycopg.connect(old) as driver:
            driver.execute("UPDATE drivers SET last = last + 5 WHERE search = 2")

    with open_journal(old, must_exist=True) as journal:
        lock = journal.locks(Path(), "g/seed-3").acquire(1)
        assert lock is not None
        with pytest.raises(HeldError, match="search 'g/seed-3' is held by an older evosearch on node1"):
            journal.upgrade(partial(undriven, onlooker=Onlooker(sleep=beat)))
        assert schema_in(old) == 1
        lock.release(driven=True)
        assert journal.upgrade()


def test_a_driver_that_comes_while_the_others_are_watched_is_seen(old: str) -> None:
    with open_journal(old, must_exist=True) as journal, ExitStack() as stack:

        def come(_: Journal) -> Check:
            check = undriven(journal, Onlooker())
            stack.callback(journal.locks(Path(), "new").acquire(1).release, driven=True)
            with psycopg.connect(old) as driver:
                driver.execute("UPDATE searches SET term = 1 WHERE id = 3")
                driver.execute("INSERT INTO drivers VALUES (3, 1, 'node7', 1, 'ray', 'search', 1, 1)")
            return check

        with pytest.raises(HeldError, match="search 'new' is held by an older evosearch on node7"):
            journal.upgrade(come)
    assert schema_in(old) == 1


def test_who_may_only_read_gets_the_old_journal_and_upgrades_nothing(
    old: str, postgres: PostgresServer, expected: list[Any]
) -> None:
    name = old.partition("@/")[2].partition("?")[0]
    postgres.execute(
        "DO $$ BEGIN CREATE ROLE onlooker LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
    )
    postgres.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO onlooker", name)
    with open_journal(postgres.url(name, "onlooker"), must_exist=True) as journal:
        assert told(journal) == expected
        with pytest.raises(CannotRunError, match="cannot be used"):
            journal.upgrade()
    postgres.execute("DROP OWNED BY onlooker", name)
    assert schema_in(old) == 1
