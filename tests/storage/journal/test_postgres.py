"""PostgreSQL keeps the journal's contract as SQLite does, and its errors become ours."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator

import psycopg
import pytest

from evosearch.errors import CannotRunError, EvosearchError, InputError, JournalError
from evosearch.evaluation import EpochRecord, Failure, FailureKind, Success
from evosearch.storage import Failed, Finished, Journal, SearchCreated, open_journal
from evosearch.storage.journal import postgres
from evosearch.storage.journal.tables import SCHEMA
from evosearch.testing.journal_contract import STORY, JournalContract, born, found, started
from tests.storage.postgres_server import PostgresServer


@pytest.fixture
def journal(database: str) -> Iterator[Journal]:
    with open_journal(database, must_exist=False) as journal:
        yield journal


class TestOnAServer(JournalContract):
    @pytest.fixture
    def journal(self, database: str) -> Iterator[Journal]:
        with open_journal(database, must_exist=False) as journal:
            yield journal


def name_of(database: str) -> str:
    return database.partition("@/")[2].partition("?")[0]


def refused(url: str, error: type[EvosearchError], match: str, *, must_exist: bool = False) -> str:
    """Opening fails with one line that matches and shows no password; the line."""
    with pytest.raises(error, match=match) as raised:
        open_journal(url, must_exist=must_exist)
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)
    return str(raised.value)


def test_what_was_written_is_there_when_opened_again(journal: Journal, database: str) -> None:
    started(journal, story=STORY)
    told = list(journal.replay("s"))
    journal.close()
    with open_journal(database.replace("postgresql:", "postgresql+psycopg:"), must_exist=True) as again:
        assert list(again.replay("s")) == told


def test_numbers_come_back_to_the_last_bit(journal: Journal) -> None:
    fitness, seconds, at = 1 / 3, 1e-17 + 2**0.5, 1_764_000_000.123456
    journal.create_search("s", SearchCreated({}, "k", {}, 1), at)
    term = started(journal, "t", [born(0)])
    huge = born(1)
    success = Success(fitness, seconds, (EpochRecord(float("nan"), 0.1),))
    journal.append("t", term, [Finished(0, 1, "w", success), huge], at)
    row = journal.evaluations("t")[0]
    assert (row.fitness, row.seconds) == (fitness, seconds)
    assert (found(journal).heartbeat, found(journal, "t").heartbeat) == (at, at)
    curve = journal.evaluations("t", with_curve=True)[0].curve
    assert json.dumps(curve) == "[[NaN, 0.1]]"


def test_a_schema_of_the_database_holds_a_journal_of_its_own(
    journal: Journal, database: str, postgres: PostgresServer
) -> None:
    started(journal)
    postgres.execute("CREATE SCHEMA mine", name_of(database))
    with open_journal(f"{database}&options=-csearch_path%3Dmine", must_exist=False) as mine:
        assert mine.searches() == ()
        started(mine, "other")
    assert [row.name for row in journal.searches()] == ["s"]


def test_a_journal_that_must_exist_is_missed_and_not_made(database: str, postgres: PostgresServer) -> None:
    refused(database, JournalError, "there is no journal in postgresql://.*; start a search", must_exist=True)
    assert postgres.execute("SELECT * FROM pg_tables WHERE schemaname = 'public'", name_of(database)) == []


def test_another_programs_tables_are_left_alone(database: str, postgres: PostgresServer) -> None:
    postgres.execute("CREATE TABLE events (id integer)", name_of(database))
    refused(database, JournalError, "holds no journal of evosearch but another program's table 'events'")
    postgres.execute("CREATE TABLE meta (id integer)", name_of(database))
    refused(database, JournalError, "holds no journal of evosearch .*name another database")


def test_a_newer_schema_is_refused_naming_both_versions(
    journal: Journal, database: str, postgres: PostgresServer
) -> None:
    postgres.execute("UPDATE meta SET schema = 7", name_of(database))
    refused(
        database,
        JournalError,
        rf"has schema 7, and this evosearch \d+\.\d+\.\d+ reads schemas up to {SCHEMA}",
    )


def test_a_database_of_another_encoding_is_refused(postgres: PostgresServer) -> None:
    url = postgres.create_database("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    refused(url, JournalError, "keeps texts as LATIN1")


def test_a_database_that_keeps_any_bytes_keeps_every_message(postgres: PostgresServer) -> None:
    url = postgres.create_database("ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    with open_journal(url, must_exist=False) as journal:
        failure = Failure(FailureKind.ERROR, "Größe ≠ 3", 1.0)
        started(journal, story=[born(0), Failed(0, 1, "w", failure, final=True)])
        assert journal.evaluations("s")[0].reasons == ("attempt 1 on w: error: Größe ≠ 3",)


def test_a_server_that_is_not_there_is_told_within_seconds() -> None:
    line = refused("postgresql://me:secret@127.0.0.1:1/db", CannotRunError, "cannot be reached .*refused")
    assert line.startswith("the journal postgresql://me@127.0.0.1:1/db cannot be reached")


def test_a_database_that_is_not_there_is_told(postgres: PostgresServer) -> None:
    refused(postgres.url("nowhere"), JournalError, 'database "nowhere" does not exist.*create the database')


def test_a_wrong_password_is_told_and_not_shown(postgres: PostgresServer, database: str) -> None:
    postgres.execute("CREATE ROLE guarded LOGIN PASSWORD 'right'")
    url = postgres.url(name_of(database), "guarded:secret")
    refused(url, JournalError, "password authentication failed")
    refused(f"{postgres.url(name_of(database), 'guarded')}&password=secret", JournalError, "failed")
    refused(postgres.url(name_of(database), "guarded"), JournalError, "no password supplied")


def test_the_right_password_is_not_shown_either(postgres: PostgresServer, database: str) -> None:
    postgres.execute("CREATE ROLE keeper LOGIN PASSWORD 'secret'")
    postgres.execute(f"ALTER DATABASE {name_of(database)} OWNER TO keeper")
    with open_journal(postgres.url(name_of(database), "keeper:secret"), must_exist=False) as journal:
        assert journal.place.startswith(f"postgresql://keeper@/{name_of(database)}?host=")
        assert "secret" not in repr(journal.place)


def test_half_a_password_is_not_shown_as_a_host() -> None:
    refused("postgresql://me:top@secret@host/db", InputError, "holds an '@'; write it as %40")


def test_a_user_without_the_right_to_create_is_told(postgres: PostgresServer, database: str) -> None:
    postgres.execute("CREATE ROLE guest LOGIN")
    refused(
        postgres.url(name_of(database), "guest"),
        CannotRunError,
        "cannot be used .*permission denied for schema",
    )


def test_a_user_who_may_only_read_reads(postgres: PostgresServer, journal: Journal, database: str) -> None:
    term = started(journal)
    postgres.execute("CREATE ROLE reader LOGIN")
    postgres.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", name_of(database))
    with open_journal(postgres.url(name_of(database), "reader"), must_exist=True) as theirs:
        assert found(theirs).term == term
        with pytest.raises(CannotRunError, match=r"cannot be used .*permission denied for table searches"):
            theirs.append("s", term, [born(0)], 1.0)


def test_a_read_only_database_is_told(postgres: PostgresServer, journal: Journal, database: str) -> None:
    term = started(journal)
    journal.close()
    postgres.execute(f"ALTER DATABASE {name_of(database)} SET default_transaction_read_only = on")
    assert found(journal).term == term
    with pytest.raises(CannotRunError, match=r"cannot be used .*read-only transaction"):
        journal.append("s", term, [born(0)], 1.0)


def test_a_missing_driver_is_named_with_its_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    refused("postgresql://me:secret@host/db", CannotRunError, r"pip install 'psycopg\[binary\]'")


def test_a_table_that_was_lost_is_told(journal: Journal, database: str, postgres: PostgresServer) -> None:
    started(journal)
    postgres.execute("DROP TABLE evaluations", name_of(database))
    with pytest.raises(JournalError, match=r'holds no journal .*relation "evaluations" does not exist'):
        journal.evaluations("s")


def test_a_server_that_was_restarted_costs_nothing(postgres: PostgresServer, journal: Journal) -> None:
    term = started(journal)
    postgres.stop()
    with pytest.raises(CannotRunError, match=r"cannot be reached .*resume: a search goes on"):
        journal.append("s", term, [born(0)], 1.0)
    postgres.start()
    assert journal.append("s", term, [born(0)], 1.0) == 3
    assert [row.number for row in journal.evaluations("s")] == [0]


def test_a_connection_that_is_cut_in_the_middle_leaves_nothing_of_its_transaction(
    postgres: PostgresServer, journal: Journal, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    term = started(journal)
    real = postgres.execute

    def cut(*_: object) -> None:
        others = f"datname = '{name_of(database)}' AND pid <> pg_backend_pid()"
        real(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}")

    with monkeypatch.context() as patched:
        patched.setattr("evosearch.storage.journal.journal._alive", cut)  # the last step before the commit
        with pytest.raises(CannotRunError, match="cannot be reached"):
            journal.append("s", term, [born(0)], 1.0)
    assert len(list(journal.replay("s"))) == 2
    assert journal.append("s", term, [born(0)], 1.0) == 3


def test_a_driver_that_is_frozen_in_a_transaction_does_not_keep_the_next_out(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "FROZEN_SECONDS", 1)
    with (
        open_journal(database, must_exist=False) as frozen,
        open_journal(database, must_exist=True) as journal,
    ):
        term = started(journal)
        with frozen._database.writer.connect() as connection:
            assert frozen._fenced(connection, "s", term).sequence == 2  # and then nothing more
            assert journal.append("s", term, [born(0)], 1.0) == 3
            with pytest.raises(CannotRunError, match="cannot be reached"):
                frozen._fenced(connection, "s", term)


def test_a_row_that_stays_locked_is_told(
    database: str, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    term = started(journal)
    journal.close()
    monkeypatch.setattr(postgres, "LOCK_SECONDS", 1)
    with psycopg.connect(database) as other:
        other.execute("SELECT * FROM searches FOR UPDATE")
        with pytest.raises(CannotRunError, match=r"cannot be used .*lock timeout.*other users"):
            journal.append("s", term, [born(0)], 1.0)


def test_a_rebuild_and_a_driver_do_not_disturb_each_other(journal: Journal) -> None:
    term = started(journal)
    writer = threading.Thread(
        target=lambda: [journal.append("s", term, [born(number)], 1.0) for number in range(30)]
    )
    writer.start()
    while writer.is_alive():
        journal.rebuild()
    writer.join()
    assert [row.number for row in journal.evaluations("s")] == list(range(30))


WRITER = """
import sys
from evosearch.storage import open_journal
from evosearch.testing.journal_contract import born, started
with open_journal(sys.argv[1], must_exist=False) as journal:
    term = started(journal, sys.argv[2])
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(50):
        journal.append(sys.argv[2], term, [born(number)], 1.0)
        journal.append("shared", 1, [born(2 * number + (sys.argv[2] == "b"))], 1.0)
"""


def test_processes_create_one_journal_and_write_one_search_at_once(database: str) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", WRITER, database]
    writers = [subprocess.Popen([*command, name], **pipes) for name in ("a", "b")]
    assert [writer.stdout.readline() for writer in writers] == ["ready\n", "ready\n"]
    with open_journal(database, must_exist=True) as journal:
        started(journal, "shared")
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        assert [writer.communicate() and writer.returncode for writer in writers] == [0, 0]
        assert [len(journal.evaluations(name)) for name in ("a", "b", "shared")] == [50, 50, 100]
        assert [one.sequence for one in journal.replay("shared")] == list(range(1, 103))
