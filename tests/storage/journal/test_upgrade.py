"""Journals of an older schema: read as they are, upgraded by the first write, and then whole whatever happens.

`assets/schema-1.db` was written by version 0.1.0 with the story of the journal's contract, and is never written again.
"""

import itertools
import shutil
import sqlite3
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Float, MetaData, Table, Text, event

from evosearch.errors import CannotRunError, HeldError, JournalError, NewerJournalError
from evosearch.storage import Journal, Stopped, open_home, open_journal, take
from evosearch.storage.holding.locks import FileLocks
from evosearch.storage.journal import sqlite, upgrade
from evosearch.storage.journal import upgrade as rebuilding
from evosearch.storage.journal.tables import (
    READER_COLUMNS,
    READER_TABLES,
    SCHEMA,
    TRUTH_TABLES,
    drivers,
    metadata,
    searches,
)
from evosearch.testing.journal_contract import CREATED, STARTED, STORY, born, found, started

ASSET = Path(__file__).parent / "assets" / "schema-1.db"
NAMES = ("s", "g/seed-3", "new")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A home with an old journal, as a copy of it is left by its last driver."""
    (tmp_path / "home").mkdir()
    return Path(shutil.copy(ASSET, tmp_path / "home" / "journal.db"))


def upgrade_together(
    where: str | Path, count: int, note: Callable[[str], None] = lambda line: None
) -> list[int]:
    """The numbers of those of `count` threads, each with a journal of its own, that created a search at once."""
    together, ended = threading.Barrier(count), []

    def run(number: int) -> None:
        with open_journal(where, must_exist=True, note=note) as journal:
            together.wait()
            journal.create_search(f"mine-{number}", CREATED, 1.0)
            ended.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(ended)


def told(journal: Journal, names: tuple[str, ...] = NAMES) -> list[Any]:
    """All that readers get, and the events, as text: a NaN equals nothing."""
    return [
        repr(
            (
                journal.find(name),
                journal.evaluations(name, with_curve=True),
                journal.best(name),
                journal.generations(name),
                journal.test_readings(name),
                list(journal.replay(name)),
            )
        )
        for name in names
    ]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The same of a journal that this version wrote from its beginning."""
    with open_journal(tmp_path_factory.mktemp("new") / "journal.db", must_exist=False) as journal:
        started(journal, story=STORY)
        started(journal, "g/seed-3", STORY[:9])
        journal.create_search("new", CREATED, 130.0)
        return told(journal)


def held_by_sqlite(path: Path, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """What a statement gives that is run as another program would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def schema_in(path: Path) -> int:
    """What the file itself says, which is all that version 0.1.0 looks at."""
    return int(struct.unpack(">I", path.read_bytes()[60:64])[0])


# The tables


def test_every_table_is_either_true_or_for_readers() -> None:
    """One that is in neither list would be lost, or left behind, by an upgrade."""
    assert sorted([*TRUTH_TABLES, *READER_TABLES], key=str) == sorted(metadata.tables.values(), key=str)
    assert {column.table for column in READER_COLUMNS} == {searches}


def test_no_column_of_the_truth_is_lost_and_later_ones_say_what_rows_before_them_mean() -> None:
    for table in TRUTH_TABLES:
        first = {name for _, name, *_ in held_by_sqlite(ASSET, f"PRAGMA table_info({table.name})")}
        assert first <= set(table.c.keys())
        for column in table.c:
            assert column.name in first or column.nullable or column.server_default is not None


def test_readers_columns_can_be_unset() -> None:
    assert all(column.nullable or column.default is not None for column in READER_COLUMNS)


# Reading


def test_an_old_journal_reads_as_if_this_version_had_written_it(path: Path, expected: list[Any]) -> None:
    with open_journal(path, must_exist=True) as journal:
        assert journal.schema == 1
        assert [row.name for row in journal.searches()] == list(NAMES)
        assert told(journal) == expected
        journal.check()


def test_reading_an_old_journal_changes_no_byte_of_it_and_nothing_beside_it(path: Path) -> None:
    before = files(path.parent)
    with open_journal(path, must_exist=True) as journal:
        told(journal)
        journal.check()
    assert files(path.parent) == before


def test_an_old_journal_is_read_where_nothing_can_be_written(
    public: Path, reading_only: Callable[[Path], AbstractContextManager[None]], expected: list[Any]
) -> None:
    path = Path(shutil.copy(ASSET, public / "journal.db"))
    with (
        reading_only(public),
        open_home(str(path), env={}, cwd=public, create=False) as home,
    ):
        assert told(home.journal) == expected
        with pytest.raises(CannotRunError, match="readonly"):
            home.journal.create_search("other", CREATED, 1.0)
    assert schema_in(path) == 1


def test_the_copy_that_readers_get_is_kept_for_the_next_one_and_for_nobody_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, expected: list[Any]
) -> None:
    with open_home(str(path), env={}, cwd=path.parent, create=False) as home:
        told(home.journal)
    (copy,) = (path.parent / "cache").glob("journal-*.db")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    monkeypatch.setattr(rebuilding, "bring_up_to_date", lambda *_: pytest.fail("an event was read again"))
    with open_home(str(path), env={}, cwd=path.parent, create=False) as home:
        assert told(home.journal) == expected


def write_as_before(path: Path, name: str, *facts: tuple[str, str]) -> None:
    """Append events as version 0.1.0 does, as far as they are the truth."""
    ((search, last),) = held_by_sqlite(path, "SELECT id, sequence FROM searches WHERE name = ?", name)
    for number, (kind, payload) in enumerate(facts, last + 1):
        row = (search, number, 1, 200.0 + number, kind, payload)
        held_by_sqlite(path, "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", *row)
    held_by_sqlite(path, "UPDATE searches SET sequence = ? WHERE id = ?", last + len(facts), search)


def test_readers_follow_a_driver_of_the_older_version(path: Path) -> None:
    with open_journal(path, must_exist=True) as journal:
        assert found(journal, "g/seed-3").state == "running"
        write_as_before(path, "g/seed-3", ("Stopped", '{"message":"too many"}'))
        assert (found(journal, "g/seed-3").state, found(journal, "g/seed-3").message) == (
            "failed",
            "too many",
        )
        held_by_sqlite(path, "UPDATE drivers SET last = 500 WHERE term = 1")
        assert found(journal, "g/seed-3").heartbeat == 500


def test_readers_follow_while_the_older_driver_has_the_journal_open(path: Path) -> None:
    with (
        closing(sqlite3.connect(path)) as driver,
        open_home(str(path), env={}, cwd=path.parent, create=False) as home,
    ):
        driver.execute("PRAGMA wal_autocheckpoint = 0")
        driver.execute("UPDATE drivers SET last = 500 WHERE term = 1")
        assert found(home.journal).heartbeat == 120
        driver.commit()
        assert found(home.journal).heartbeat == 500


def test_what_was_read_while_a_writer_came_is_read_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    came = iter([False, True])  # before and after the first look
    monkeypatch.setattr(sqlite, "_is_attended", lambda _: next(came, True))
    assert sqlite.find_schema(path) == 1
    assert next(came, None) is None
    always = itertools.cycle([False, True])
    monkeypatch.setattr(sqlite, "_is_attended", lambda _: next(always))
    with pytest.raises(
        CannotRunError, match="is just being opened by another process; run the command again"
    ):
        sqlite.find_schema(path)


def test_an_old_journal_whose_driver_was_killed_within_a_transaction_is_read(
    path: Path, expected: list[Any]
) -> None:
    """On a network file system, where SQLite puts what it is about to overwrite into a file beside."""
    with closing(sqlite3.connect(path.with_name("driven.db"), isolation_level=None)) as driver:
        with closing(sqlite3.connect(path)) as source:
            source.backup(driver)
        driver.execute("PRAGMA journal_mode = DELETE")
        driver.execute("PRAGMA cache_size = 1")  # so that pages are written before the commit
        driver.execute("BEGIN IMMEDIATE")
        driver.execute("UPDATE events SET payload = payload || hex(zeroblob(3000))")
        shutil.copy(path.with_name("driven.db"), path)
        shutil.copy(path.with_name("driven.db-journal"), path.with_name("journal.db-journal"))
    with open_journal(path, must_exist=True) as journal:
        assert told(journal) == expected
        assert journal.schema == 1


def test_a_search_that_was_replaced_or_removed_is_not_remembered(path: Path) -> None:
    with open_home(str(path), env={}, cwd=path.parent, create=False) as home:
        assert len(home.journal.searches()) == 3
        held_by_sqlite(path, "DELETE FROM drivers WHERE search = 1")
        held_by_sqlite(path, "DELETE FROM searches WHERE id = 3")
        held_by_sqlite(path, "UPDATE events SET at = at + 1 WHERE search = 1")
        held_by_sqlite(path, "UPDATE searches SET created = 7 WHERE id = 2")
        rows = {row.name: row for row in home.journal.searches()}
        assert rows.keys() == {"s", "g/seed-3"}
        assert rows["s"].host is None
        assert next(home.journal.replay("s")).at == 101


def test_a_copy_that_is_damaged_is_made_anew(path: Path, expected: list[Any]) -> None:
    with open_home(str(path), env={}, cwd=path.parent, create=False) as home:
        told(home.journal)
    (copy,) = (path.parent / "cache").glob("journal-*.db")
    copy.write_bytes(b"garbage" * 1000)
    with open_home(str(path), env={}, cwd=path.parent, create=False) as home:
        assert told(home.journal) == expected
    assert copy.read_bytes().startswith(b"SQLite format 3")


def test_a_damaged_old_journal_is_told_by_its_own_name(path: Path) -> None:
    held_by_sqlite(path, "DELETE FROM events WHERE search = 1 AND sequence = 5")
    with (
        open_journal(path, must_exist=True) as journal,
        pytest.raises(JournalError, match=rf"^the journal {path} is damaged: event 5 is missing"),
    ):
        journal.find("s")


# Upgrading


def test_the_first_write_upgrades_and_says_so(path: Path, expected: list[Any]) -> None:
    before = held_by_sqlite(path, "SELECT * FROM events")
    lines: list[str] = []
    with open_home(str(path), env={}, cwd=path.parent, create=False, note=lines.append) as home:
        told(home.journal)
        home.journal.create_search("more", CREATED, 1.0)
        assert told(home.journal) == expected
        assert (home.journal.schema, home.journal.upgrade()) == (SCHEMA, False)
        assert held_by_sqlite(path, "SELECT * FROM events WHERE search < 4") == before
    assert lines == [
        f"the journal {path} was upgraded from schema 1 to {SCHEMA}; older versions of evosearch refuse it from now on"
    ]
    assert not list((path.parent / "cache").iterdir())


def test_version_0_1_0_refuses_an_upgraded_journal_with_its_own_message(path: Path) -> None:
    """It says: PATH has schema 2, and this evosearch 0.1.0 reads schemas up to 1; upgrade evosearch to read it."""
    with (
        closing(sqlite3.connect(path)) as reader,  # that keeps the file beside the journal
        open_journal(path, must_exist=True) as journal,
    ):
        reader.execute("SELECT count(*) FROM events").fetchall()
        assert journal.upgrade()
        assert schema_in(path) == SCHEMA > 1


def test_an_upgrade_whose_file_does_not_tell_it_yet_is_known(
    path: Path, expected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("SELECT count(*) FROM events").fetchall()
        with monkeypatch.context() as patched, open_journal(path, must_exist=True) as journal:
            patched.setattr(sqlite, "settle", lambda _: pytest.fail("killed"))
            with pytest.raises(pytest.fail.Exception):
                journal.upgrade()
        assert schema_in(path) == 1
        with open_journal(path, must_exist=True) as journal:
            assert journal.schema == SCHEMA
            assert told(journal) == expected
        assert schema_in(path) == SCHEMA


def test_what_a_newer_version_has_upgraded_is_refused_before_its_file_tells_it(path: Path) -> None:
    with open_journal(path, must_exist=True) as journal:
        journal.upgrade()
        with closing(sqlite3.connect(path)) as newer:
            newer.execute("PRAGMA wal_autocheckpoint = 0")
            newer.execute(f"UPDATE meta SET schema = {SCHEMA + 1}")
            newer.execute(f"PRAGMA user_version = {SCHEMA + 1}")
            newer.commit()
            assert schema_in(path) == SCHEMA
            with pytest.raises(NewerJournalError, match=f"has schema {SCHEMA + 1}"):
                open_journal(path, must_exist=True)
            with pytest.raises(NewerJournalError, match=f"has schema {SCHEMA + 1}"):
                journal.append("s", 1, [Stopped("late")], 1.0)


def test_of_several_upgraders_one_does_it_and_all_go_on(path: Path, expected: list[Any]) -> None:
    lines: list[str] = []
    assert upgrade_together(path, 4, lines.append) == [0, 1, 2, 3]
    assert len(lines) == 4  # each tells its own user
    assert all("was upgraded from schema 1" in line for line in lines)
    with open_journal(path, must_exist=True) as journal:
        assert told(journal) == expected
        assert len(journal.searches()) == 7


def test_a_search_is_taken_as_before(path: Path) -> None:
    with open_journal(path, must_exist=True) as journal:
        with take(journal, path.parent / "s", "s", STARTED, time.time) as held:
            assert held.term == 2
            journal.append("s", held.term, [born(9)], 1.0)
        assert len(journal.evaluations("s")) == 6


def test_an_older_backup_is_adopted_and_stays_as_it_is(
    path: Path, tmp_path: Path, expected: list[Any]
) -> None:
    before = path.read_bytes()
    with (
        open_journal(tmp_path / "mine.db", must_exist=False) as mine,
        open_journal(path, must_exist=True) as backup,
    ):
        mine.adopt(backup, "s")
        mine.adopt(backup, "g")
        assert told(mine, ("s", "g/seed-3")) == expected[:2]
        assert mine.find("new") is None
    assert path.read_bytes() == before


@pytest.fixture
def alive(path: Path) -> Iterator[None]:
    """The driver of "g/seed-3" lives: its lock is held, and its heartbeat is new."""
    held_by_sqlite(path, "UPDATE drivers SET last = ? WHERE search = 2", time.time())
    lock = FileLocks(path.parent / "g" / "seed-3").acquire(1)
    assert lock is not None
    yield
    lock.release(driven=True)


@pytest.mark.usefixtures("alive")
def test_nothing_is_upgraded_while_an_older_driver_lives(path: Path) -> None:
    before = path.read_bytes()
    with open_journal(path, must_exist=True) as journal:
        with pytest.raises(
            HeldError, match=r"search 'g/seed-3' is held by an older evosearch on node1"
        ) as refused:
            take(journal, path.parent / "s", "s", STARTED, time.time)
        assert refused.value.exit_status == 4
        with pytest.raises(HeldError, match="cannot be upgraded; wait until it ends, or stop it"):
            journal.create_search("mine", CREATED, 1.0)
        assert journal.schema == 1
        assert found(journal, "g/seed-3").state == "running"
    assert path.read_bytes() == before


def test_a_driver_that_died_a_moment_ago_keeps_nobody(path: Path) -> None:
    held_by_sqlite(path, "UPDATE drivers SET last = ? WHERE search = 2", time.time())
    with open_journal(path, must_exist=True) as journal:
        assert journal.upgrade()


class Killed(BaseException):
    """Nothing handles it."""


@pytest.fixture
def small(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An old journal with a search of five events, on a disk that is quick."""
    monkeypatch.setattr(sqlite, "SYNCHRONOUS", "OFF")
    for table, column in (("events", "search"), ("drivers", "search"), ("searches", "id")):
        held_by_sqlite(path, f"DELETE FROM {table} WHERE {column} != 2")
    held_by_sqlite(path, "DELETE FROM events WHERE sequence > 5")
    held_by_sqlite(path, "UPDATE searches SET sequence = 5")
    return path


def upgrade_until(path: Path, last: int, seen: Callable[[], None]) -> int:
    """Upgrade, dying at statement `last` of the writer, after `seen` was called; how many statements there were."""
    count = 0

    def step(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal count
        if not connection.get_execution_options().get("writes") or "cache" in str(connection.engine.url):
            return
        count += 1
        if count == last:
            seen()
            raise Killed

    event.listen(Engine, "before_cursor_execute", step)
    try:
        with open_journal(path, must_exist=True, cache=path.parent / "cache") as journal:
            journal.upgrade()
    except Killed:
        pass
    finally:
        event.remove(Engine, "before_cursor_execute", step)
    return count


def test_an_upgrade_that_is_killed_at_any_statement_has_happened_or_not(small: Path, tmp_path: Path) -> None:
    with open_journal(small, must_exist=True) as journal:
        wanted = told(journal, ("g/seed-3",))
    for last in itertools.count(1):
        home, cut = tmp_path / f"home-{last}", tmp_path / f"cut-{last}"
        home.mkdir()
        path = Path(shutil.copy(small, home / "journal.db"))
        statements = upgrade_until(path, last, lambda h=home, c=cut: shutil.copytree(h, c))  # type: ignore[misc] # mypy infers no lambda with defaults
        for found_there in filter(Path.exists, (path, cut / "journal.db")):
            is_old = held_by_sqlite(found_there, "SELECT schema FROM meta") == [(1,)]
            assert is_old == (schema_in(found_there) == 1)
            with open_journal(found_there, must_exist=True) as journal:
                assert journal.upgrade() == is_old
                assert told(journal, ("g/seed-3",)) == wanted
        if statements < last:  # nothing was killed
            break
    assert statements > 30
    assert not is_old


def test_a_column_that_came_later_is_added_to_the_truth(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = Table(
        "drivers",
        MetaData(),
        *(Column(column.name, column.type) for column in drivers.c),
        Column("elapsed", Float, nullable=False, server_default="0"),
        Column("parent", Text),
    )
    added = Table("inbox", MetaData(), Column("text", Text))
    tables = (*(table for table in TRUTH_TABLES if table is not drivers), later, added)
    monkeypatch.setattr(upgrade, "TRUTH_TABLES", tables)
    with open_journal(path, must_exist=True) as journal:
        journal.upgrade()
    assert held_by_sqlite(path, "SELECT * FROM inbox") == []
    rows = held_by_sqlite(path, "SELECT host, elapsed, parent FROM drivers")
    assert rows == [("node1", 0.0, None)] * 2
