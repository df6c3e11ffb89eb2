"""What a driver writes with: patient with a server that is away, and never writing a fact twice."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from evosearch.errors import (
    HeldError,
    InterruptedSearchError,
    JournalAwayError,
    JournalBusyError,
    StaleTermError,
)
from evosearch.storage import (
    DriverStarted,
    GenerationStarted,
    Journal,
    JournalLogbook,
    Onlooker,
    open_journal,
    take,
)
from evosearch.testing.journal_contract import CREATED, born
from tests.storage.postgres_server import PostgresServer

STARTED = DriverStarted("node1", 4711, "local", {})
FOLDER = Path("unused")


@pytest.fixture
def journal(database: str) -> Iterator[Journal]:
    with open_journal(database, must_exist=False) as journal:
        journal.create_search("s", CREATED, time.time())
        yield journal


@contextmanager
def driving(journal: Journal, stop: str | None = None) -> Iterator[JournalLogbook]:
    with take(journal, FOLDER, "s", STARTED, time.time) as held:
        yield JournalLogbook(journal, "s", held, lambda: stop, lambda _: None)


@contextmanager
def away(server: PostgresServer, seconds: float) -> Iterator[None]:
    """Inside, the server is away for a while."""
    server.stop()
    back = threading.Timer(seconds, server.start)
    back.start()
    try:
        yield
    finally:
        back.join()


def test_a_server_that_is_restarted_is_waited_for(journal: Journal, postgres: PostgresServer) -> None:
    with driving(journal) as logbook:
        with away(postgres, 1.5):
            logbook.append([born(0)])
        with away(postgres, 1.5):
            logbook.beat()
        logbook.append([born(1)])
    assert [row.number for row in journal.evaluations("s")] == [0, 1]


def test_a_server_that_stays_away_is_told_after_a_minute(
    journal: Journal, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evosearch.storage.holding.logbook.AWAY_SECONDS", 1.0)
    with (
        driving(journal) as logbook,
        away(postgres, 2.5),
        pytest.raises(JournalAwayError, match=r"cannot be reached .*, then resume"),
    ):
        logbook.append([born(0)])


def test_who_is_told_to_stop_waits_no_longer(journal: Journal, postgres: PostgresServer) -> None:
    with (
        driving(journal, stop="SIGTERM") as logbook,
        away(postgres, 0.5),
        pytest.raises(InterruptedSearchError, match=r"'s' was stopped by SIGTERM; .* cannot be reached"),
    ):
        logbook.append([born(0)])


@pytest.mark.parametrize("happened", [True, False])
def test_a_commit_whose_answer_was_lost_is_not_written_twice(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, happened: bool
) -> None:
    real, tries = Journal.append, []

    def cut(self: Journal, *arguments: object) -> int:
        tries.append(arguments)
        if len(tries) > 1 or happened:
            real(self, *arguments)
        if len(tries) == 1:
            raise JournalAwayError("the answer was lost")
        return 0

    with driving(journal) as logbook:
        monkeypatch.setattr(Journal, "append", cut)
        logbook.append([born(0), born(1)])
        assert len(tries) == 2 - happened
        logbook.append([born(2)])
    assert [row.number for row in journal.evaluations("s")] == [0, 1, 2]


def test_a_living_driver_is_respected_after_its_server_was_restarted(
    journal: Journal, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with driving(journal) as logbook:
        with away(postgres, 0.0):
            pass
        locks = journal.locks(FOLDER, "s")
        assert locks.state(1) == "free"  # as it would be for long enough
        monkeypatch.setattr("evosearch.storage.holding.advisory.SETTLED_SECONDS", 60.0)
        assert locks.state(1) == "unknown"
        with pytest.raises(HeldError, match="supersede it with --takeover"):
            take(journal, FOLDER, "s", STARTED, time.time, onlooker=Onlooker(sleep=lambda _: logbook.beat()))
        monkeypatch.setattr("evosearch.storage.holding.advisory.SETTLED_SECONDS", 0.0)
        assert locks.state(1) == "unknown"  # it is owned again


def test_a_driver_that_died_while_its_server_was_restarted_is_followed_after_a_minute(
    journal: Journal, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evosearch.storage.holding.advisory.SETTLED_SECONDS", 600.0)
    with driving(journal), away(postgres, 0.0):
        pass
    clock = count()
    onlooker = Onlooker(clock=lambda: float(next(clock)), sleep=lambda _: None)
    with take(journal, FOLDER, "s", STARTED, time.time, onlooker=onlooker) as held:
        assert held.term == 2


def test_a_lock_that_another_took_meanwhile_ends_the_driver(
    journal: Journal, postgres: PostgresServer
) -> None:
    with driving(journal) as logbook:
        with away(postgres, 0.0):
            pass
        other = journal.locks(FOLDER, "s").acquire(1)
        with pytest.raises(StaleTermError, match="another driver owns the lock of term 1"):
            logbook.beat()
        assert other is not None
        other.release(driven=False)


# A file that another program has locked


@contextmanager
def locked(file: Path, seconds: float | None = None) -> Iterator[None]:
    """Inside, another program holds the file, for so long or until the end."""
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    ended = threading.Event()

    def hold() -> None:
        ended.wait(seconds)
        other.rollback()
        other.close()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        yield
    finally:
        ended.set()
        holder.join()


@pytest.fixture
def in_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.setattr("evosearch.storage.journal.sqlite.BRIEF_SECONDS", 0.1)
    with open_journal(tmp_path / "journal.db", must_exist=False) as journal:
        journal.create_search("s", CREATED, time.time())
        yield journal


def test_a_file_that_another_program_has_locked_is_waited_for_with_a_note_however_long_that_takes(
    in_file: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evosearch.storage.holding.logbook.AWAY_SECONDS", 0.0)  # that is a server's
    notes: list[str] = []
    with take(in_file, tmp_path / "s", "s", STARTED, time.time) as held:
        logbook = JournalLogbook(in_file, "s", held, lambda: None, notes.append)
        with locked(tmp_path / "journal.db", 1.5):
            logbook.append([born(0)])
        with locked(tmp_path / "journal.db", 1.5):
            logbook.beat()
    assert [row.number for row in in_file.evaluations("s")] == [0]
    assert (
        notes
        == [
            f"the journal {tmp_path}/journal.db is locked by another program; end it, or what it does there (`fuser "
            f"{tmp_path}/journal.db` names it); 's' waits",
            "the journal takes what 's' writes again",
        ]
        * 2
    )


def test_who_waits_for_a_locked_file_still_hears_that_it_shall_stop(in_file: Journal, tmp_path: Path) -> None:
    with take(in_file, tmp_path / "s", "s", STARTED, time.time) as held:
        logbook = JournalLogbook(in_file, "s", held, lambda: "SIGTERM", lambda _: None)
        with (
            locked(tmp_path / "journal.db"),
            pytest.raises(InterruptedSearchError, match=r"'s' was stopped by SIGTERM; .* is locked"),
        ):
            logbook.append([born(0)])


def test_who_begins_while_the_file_is_locked_is_told_so(
    in_file: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evosearch.storage.journal.sqlite.BUSY_SECONDS", 0.1)
    with (
        locked(tmp_path / "journal.db"),
        pytest.raises(JournalBusyError, match="is locked by another program"),
    ):
        in_file.create_search("t", CREATED, time.time())


def test_a_plain_copy_of_a_journals_file_holds_every_generation_that_was_begun(tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal.db", must_exist=False) as journal:
        journal.create_search("s", CREATED, time.time())
        with take(journal, tmp_path / "s", "s", STARTED, time.time) as held:
            logbook = JournalLogbook(journal, "s", held, lambda: None, lambda _: None)
            logbook.append([born(0)])
            logbook.append([GenerationStarted(0, (0,))])
            logbook.append([born(1)])
            (tmp_path / "plain.db").write_bytes((tmp_path / "journal.db").read_bytes())
            with open_journal(tmp_path / "plain.db", must_exist=True) as copy:
                assert [row.number for row in copy.evaluations("s")] == [0]
                assert copy.generations("s")
