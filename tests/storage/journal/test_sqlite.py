"""SQLite keeps the journal's contract in both of its modes, and its errors become ours."""

import errno
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event

from evosearch.errors import CannotRunError, JournalError, SearchConflictError
from evosearch.storage import Journal, open_journal
from evosearch.storage.journal import opening
from evosearch.storage.journal.sqlite import create
from evosearch.storage.journal.tables import metadata
from evosearch.testing.journal_contract import STORY, JournalContract, born, found, started


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with open_journal(path, must_exist=False) as journal:
        yield journal


class TestOnALocalFileSystem(JournalContract):
    @pytest.fixture
    def journal(self, path: Path) -> Iterator[Journal]:
        with open_journal(path, must_exist=False) as journal:
            yield journal
            assert _pragma(path, "journal_mode") == "wal"


class TestOnANetworkFileSystem(JournalContract):
    @pytest.fixture
    def journal(self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
        monkeypatch.setattr(opening, "_MOUNTS", tmp_path / "mounts")
        (tmp_path / "mounts").write_text("server:/homes / nfs4 rw 0 0\n")
        with open_journal(path, must_exist=False) as journal:
            yield journal
            assert _pragma(path, "journal_mode") == "delete"


def _pragma(path: Path, name: str) -> object:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]
    finally:
        connection.close()


def test_commits_are_fully_synchronous(journal: Journal) -> None:
    with journal._database.reader.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2


def test_what_was_written_is_there_when_opened_again(journal: Journal, path: Path) -> None:
    started(journal, story=STORY)
    told = list(journal.replay("s"))
    journal.close()
    with open_journal(f"sqlite:///{path}", must_exist=True) as again:
        assert list(again.replay("s")) == told


def test_reader_tables_that_were_lost_are_rebuilt_from_the_events(journal: Journal, path: Path) -> None:
    started(journal, story=STORY)
    before = found(journal), journal.evaluations("s", with_curve=True), journal.generations("s")
    connection = sqlite3.connect(path)
    for table in ("evaluations", "reasons", "generations", "test_readings"):
        connection.execute(f"DELETE FROM {table}")
    connection.execute(
        "UPDATE searches SET state = 'x', configuration = '{}', generation = 7, generations = 9"
    )
    connection.commit()
    connection.close()
    journal.rebuild()
    assert (found(journal), journal.evaluations("s", with_curve=True), journal.generations("s")) == before
    assert len(journal.test_readings("s")) == 2


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
"""


def test_processes_create_and_write_one_journal_at_once(path: Path) -> None:
    path.parent.mkdir()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, name], **pipes) for name in ("a", "b")]
    assert [writer.stdout.readline() for writer in writers] == ["ready\n", "ready\n"]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    with open_journal(path, must_exist=True) as journal:
        while any(writer.poll() is None for writer in writers):
            assert len(journal.searches()) == 2  # readers never wait nor fail
        assert [writer.communicate() and writer.returncode for writer in writers] == [0, 0]
        assert [len(journal.evaluations(name)) for name in ("a", "b")] == [50, 50]
    assert [file.name for file in path.parent.iterdir()] == ["journal.db"]


def test_whoever_is_second_to_create_a_journal_uses_the_first_ones(journal: Journal, path: Path) -> None:
    started(journal)
    create(path, "WAL")
    assert found(journal).name == "s"
    with open_journal(path, must_exist=False) as again:
        assert found(again).term == 1


def test_a_journal_is_created_where_there_are_no_hard_links(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with open_journal(path, must_exist=False) as journal:
        started(journal)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotRunError, match=r"no journal can be created at .*/file/home/journal.db"):
        open_journal(tmp_path / "file" / "home" / "journal.db", must_exist=False)


def test_a_disk_that_is_full_when_a_journal_is_created_is_told_of_its_own_place(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_all = metadata.create_all

    def fill_up(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 2")
        create_all(connection)

    monkeypatch.setattr(metadata, "create_all", fill_up)
    with pytest.raises(CannotRunError, match=f"^the journal {path} cannot be used .*disk is full"):
        create(path, "WAL")
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("lost", [2, 5, len(STORY) + 2])
def test_an_event_that_is_missing_is_damage(journal: Journal, path: Path, lost: int) -> None:
    started(journal, story=STORY)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM events WHERE sequence = ?", (lost,))
    connection.close()
    for read in (lambda: list(journal.replay("s")), journal.rebuild):
        with pytest.raises(
            JournalError, match=rf"^the journal {path} is damaged: event {lost} is missing; rest"
        ):
            read()


@pytest.mark.parametrize("change", ["payload = '{'", "kind = 'Teleported'"])
def test_an_event_that_cannot_be_read_names_its_journal(journal: Journal, path: Path, change: str) -> None:
    started(journal)
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE events SET {change}")
    connection.close()
    with pytest.raises(
        JournalError, match=rf"^the journal {path} (is damaged|holds an event of the unknown)"
    ):
        list(journal.replay("s"))


def test_a_full_disk_stops_with_one_line_and_loses_nothing(journal: Journal) -> None:
    term = started(journal)
    limit = "PRAGMA max_page_count = 1"  # SQLite takes the present size where that is larger
    event.listen(journal._database.reader, "connect", lambda connection, _: connection.execute(limit))
    journal.close()
    with pytest.raises(CannotRunError, match=r"journal\.db cannot be used \(database or disk is full\)"):
        journal.append("s", term, [born(number) for number in range(500)], 1.0)
    assert len(list(journal.replay("s"))) == 2


def test_a_damaged_page_is_told_and_never_guessed_over(journal: Journal, path: Path) -> None:
    started(journal, story=[born(number) for number in range(500)])
    journal.close()
    with path.open("r+b") as file:
        for page in range(3, path.stat().st_size // 4096 - 1):
            file.seek(page * 4096)
            file.write(b"\xa5" * 4096)
    with open_journal(path, must_exist=True) as damaged:
        with pytest.raises(JournalError, match=r"journal\.db is damaged .*restore it from a copy"):
            list(damaged.replay("s"))
        with pytest.raises(JournalError, match="is damaged"):
            damaged.check()


def test_a_damaged_text_is_told(journal: Journal, path: Path) -> None:
    started(journal)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE searches SET configuration = '{'")
    connection.commit()
    connection.close()
    with pytest.raises(JournalError, match="is damaged"):
        journal.find("s")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a small journal."""
    path = tmp_path_factory.mktemp("sound") / "journal.db"
    with open_journal(path, must_exist=False) as journal:
        started(journal, story=[*STORY, *(born(number) for number in range(10, 100))])
    return path.read_bytes()


@settings(max_examples=50, deadline=None)
@given(flips=st.dictionaries(st.integers(0, 2**31), st.integers(0, 255), min_size=1, max_size=200))
def test_whatever_bytes_are_flipped_the_answer_is_rows_or_one_line(
    sound: bytes, flips: dict[int, int]
) -> None:
    content = bytearray(sound)
    for place, value in flips.items():
        content[place % len(sound)] = value
    with TemporaryDirectory() as folder:
        path = Path(folder, "journal.db")
        path.write_bytes(content)
        # SearchConflictError: of a name that the table holds and its index does not
        with suppress(JournalError, SearchConflictError), open_journal(path, must_exist=True) as journal:
            for row in journal.searches():
                list(journal.replay(row.name))
                journal.evaluations(row.name, with_curve=True)
                journal.generations(row.name)
                journal.test_readings(row.name)


@pytest.mark.parametrize("driven", [True, False])
def test_a_journal_can_be_read_without_the_right_to_write(
    driven: bool, public: Path, reading_only: Callable[[Path], AbstractContextManager[None]]
) -> None:
    path = public / "journal.db"
    create(path, "WAL")
    path.chmod(0o644)  # its user lets others read it
    journal = open_journal(path, must_exist=True)
    term = started(journal)
    if not driven:
        journal.close()
    with reading_only(public), open_journal(path, must_exist=True) as theirs:
        assert found(theirs).state == "running"
        with pytest.raises(CannotRunError, match="readonly"):
            theirs.append("s", term, [born(0)], 1.0)
    journal.close()


def test_a_home_that_moves_to_a_network_file_system_changes_its_mode(
    journal: Journal, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(journal)
    journal.close()
    monkeypatch.setattr(opening, "_MOUNTS", tmp_path / "mounts")
    (tmp_path / "mounts").write_text("server:/homes / nfs4 rw 0 0\n")
    with open_journal(path, must_exist=True) as moved:
        assert found(moved).term == 1
    assert _pragma(path, "journal_mode") == "delete"
