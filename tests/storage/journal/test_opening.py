"""What is opened, what is refused, and that what is refused is left as it is."""

import sqlite3
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from evosearch.errors import InputError, JournalError
from evosearch.storage import open_journal, parse_place
from evosearch.storage.journal.tables import SCHEMA
from evosearch.testing.journal_contract import born, started


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def fill(path: Path) -> None:
    with open_journal(path, must_exist=False) as journal:
        started(journal, story=[born(number) for number in range(50)])


def refuses(path: Path, match: str) -> None:
    """Both ways of opening refuse with one line that names the path, and nothing changes."""
    before = path.read_bytes()
    for must_exist in (True, False):
        with pytest.raises(JournalError, match=match) as refused:
            open_journal(path, must_exist=must_exist)
        assert str(path) in str(refused.value)
        assert "\n" not in str(refused.value)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_journal_that_must_exist_is_missed_and_not_made(path: Path) -> None:
    with pytest.raises(JournalError, match=r"there is no journal at .*journal\.db; start a search first"):
        open_journal(path, must_exist=True)
    assert not path.exists()


def test_an_empty_file_is_refused(path: Path) -> None:
    path.touch()
    refuses(path, "is empty, so it is no journal; restore it from a copy, or move it away")


def test_garbage_is_refused(path: Path) -> None:
    path.write_bytes(b"name: digits\n" * 100)
    refuses(path, "is no journal but begins with b'name: digits")


def test_a_truncated_journal_is_refused_with_its_sizes(path: Path) -> None:
    fill(path)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2])
    refuses(path, f"is truncated: {size // 2:,} of {size:,} bytes are there; restore it from a copy")


def test_a_journal_cut_within_its_header_is_refused(path: Path) -> None:
    fill(path)
    path.write_bytes(path.read_bytes()[:50])
    refuses(path, "is truncated: it ends within its header")


def test_another_programs_database_is_refused(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE searches (name)")
    connection.close()
    refuses(path, "is a database of another program")


def test_a_newer_schema_is_refused_naming_both_versions(path: Path) -> None:
    fill(path)
    content = bytearray(path.read_bytes())
    content[60:64] = struct.pack(">I", 7)
    path.write_bytes(content)
    refuses(path, rf"has schema 7, and this evosearch \d+\.\d+\.\d+ reads schemas up to {SCHEMA}; upgrade")


def test_a_folder_in_its_place_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(JournalError, match=r"journal\.db is no file, so it cannot be a journal"):
        open_journal(path, must_exist=False)


def test_a_file_without_the_right_to_read_is_refused(
    public: Path, unprivileged: Callable[[], AbstractContextManager[None]]
) -> None:
    path = public / "journal.db"
    fill(path)
    path.chmod(0)
    with (
        unprivileged(),
        pytest.raises(JournalError, match=r"journal.db cannot be read .*fix its permissions"),
    ):
        open_journal(path, must_exist=False)


def test_a_folder_without_the_right_to_enter_is_refused(
    public: Path, unprivileged: Callable[[], AbstractContextManager[None]]
) -> None:
    home = public / "home"
    home.mkdir()
    fill(home / "journal.db")
    home.chmod(0)
    with unprivileged(), pytest.raises(JournalError, match=r"cannot be read .*Permission denied"):
        open_journal(home / "journal.db", must_exist=False)
    home.chmod(0o755)


def test_a_header_ahead_of_its_pages_is_no_truncation_while_a_writer_is_at_work(path: Path) -> None:
    fill(path)
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    writer.execute("UPDATE meta SET evosearch = zeroblob(100000)")
    writer.commit()
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    assert path.stat().st_size < pages * 4096
    with path.open("r+b") as file:  # as a checkpoint does first
        file.seek(28)
        file.write(struct.pack(">I", pages))
    with open_journal(path, must_exist=True) as journal:
        assert len(journal.searches()) == 1
    writer.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@host",
        "postgresql://me:secret@host:port/db",
        "postgresql+psycopg2://me:secret@host/db",
        "postgres://me:secret@host/db",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql+pymysql://host/db",
        "no url://x",
        "postgresql:/me:secret@host/db",
        "postgresql:me:secret@host/db",
        "://me:secret@host/db",
        "",
        " ",
    ],
)
def test_a_url_of_no_journal_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(
        InputError, match=r"is no journal.*write sqlite:////folder/.* or postgresql://"
    ) as refused:
        open_journal(url, must_exist=False)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", ["a:b.db", "2026-01-01T10:30.db", "mine.db"])
def test_a_colon_alone_makes_no_url(name: str) -> None:
    assert parse_place(name) == Path(name)


def test_a_path_with_odd_characters_is_opened_as_it_is(tmp_path: Path) -> None:
    odd = tmp_path / "50% of #1?" / "jour nal.db"
    fill(odd)
    assert odd.is_file()
    with open_journal(odd, must_exist=True) as journal:
        assert journal.place == str(odd)
