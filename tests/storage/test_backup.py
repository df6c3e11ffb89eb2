"""Backups of a journal: complete, in order, and found by the search they belong to."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from evosearch.errors import CannotRunError
from evosearch.storage import (
    ArtifactStore,
    Backup,
    DriverStarted,
    Journal,
    open_home,
    open_journal,
    restore_newest,
)
from evosearch.testing.journal_contract import STORY, born, found, started

AGAIN = DriverStarted("node2", 1, "local", {})


@pytest.fixture
def store() -> Iterator[ArtifactStore]:
    yield ArtifactStore("memory://bucket/evo")
    MemoryFileSystem.store.clear()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with open_journal(path, must_exist=False) as journal:
        yield journal


def backup_of(journal: Journal, store: ArtifactStore, name: str = "s") -> Backup:
    backup = Backup.of(journal, store, name)
    assert backup is not None
    return backup


def lose(journal: Journal, path: Path) -> None:
    journal.close()
    for file in path.parent.glob("journal.db*"):
        file.unlink()


def test_a_lost_journal_is_brought_back_as_it_was(journal: Journal, store: ArtifactStore, path: Path) -> None:
    started(journal, story=STORY)
    told = list(journal.replay("s")), journal.evaluations("s", with_curve=True)
    assert backup_of(journal, store).save() is None
    lose(journal, path)
    (note,) = restore_newest(store, "s", path)
    assert note == (
        "the journal was not there and was brought back from "
        f"memory://bucket/evo/s/journal/0000000001-{len(STORY) + 2:012}.db"
    )
    with open_journal(path, must_exist=True) as again:
        assert (list(again.replay("s")), again.evaluations("s", with_curve=True)) == told
        assert again.begin_term("s", 1, AGAIN, 1.0) == 2
    assert [file.name for file in path.parent.iterdir()] == ["journal.db"]


def test_a_backup_is_consistent_while_the_search_goes_on(
    journal: Journal, store: ArtifactStore, path: Path
) -> None:
    term = started(journal)
    going = threading.Event()

    def drive() -> None:
        for number in range(200):
            journal.append("s", term, [born(2 * number), born(2 * number + 1)], 1.0)
            going.set()

    driver = threading.Thread(target=drive)
    driver.start()
    backup = backup_of(journal, store)
    assert going.wait(30)
    while driver.is_alive():
        assert backup.save() is None
    driver.join()
    lose(journal, path)
    restore_newest(store, "s", path)
    with open_journal(path, must_exist=True) as again:
        again.check()
        rows = again.evaluations("s")
        assert len(rows) % 2 == 0
        assert len(list(again.replay("s"))) == len(rows) + 2


def test_the_newest_three_stay_with_a_pointer_to_the_newest(journal: Journal, store: ArtifactStore) -> None:
    term = started(journal)
    backup = backup_of(journal, store)
    for number in range(12):
        journal.append("s", term, [born(number)], 1.0)
        assert backup.save() is None
    kept = [f"s/journal/0000000001-{events:012}.db" for events in (12, 13, 14)]
    assert store.list() == (*kept, "s/journal/newest")
    assert store.read_bytes("s/journal/newest") == b"0000000001-000000000014.db\n"


def test_nothing_is_uploaded_where_nothing_happened(
    journal: Journal, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    term = started(journal)
    backup = backup_of(journal, store)
    backup.save()
    monkeypatch.setattr(ArtifactStore, "put", lambda *_: pytest.fail("uploaded again"))
    journal.beat("s", term, 150.0)
    assert backup.save() is None


def test_a_superseded_drivers_backup_is_older_however_much_it_wrote(
    store: ArtifactStore, tmp_path: Path
) -> None:
    with open_journal(tmp_path / "old.db", must_exist=False) as old:
        term = started(old)
        backup_of(old, store).save()
        restore_newest(store, "s", tmp_path / "new.db")
        with open_journal(tmp_path / "new.db", must_exist=True) as new:
            new.begin_term("s", term, AGAIN, 1.0)
            backup_of(new, store).save()
        old.append("s", term, [born(number) for number in range(50)], 1.0)
        backup_of(old, store).save()
    restore_newest(store, "s", tmp_path / "again.db")
    with open_journal(tmp_path / "again.db", must_exist=True) as again:
        assert (found(again).term, found(again).host) == (2, "node2")


def test_a_group_has_one_backup_that_grows_with_each_member(
    journal: Journal, store: ArtifactStore, path: Path
) -> None:
    started(journal, "s-other", story=STORY)
    backup = backup_of(journal, store, "s")
    for member in ("s/seed-0", "s/seed-1"):
        started(journal, member)
        assert backup.save() is None
    names = [name for name in store.list() if name.endswith(".db")]
    assert names == [f"s/journal/{terms:010}-{2 * terms:012}.db" for terms in (1, 2)]
    lose(journal, path)
    restore_newest(store, "s", path)
    with open_journal(path, must_exist=True) as again:
        assert [row.name for row in again.searches()] == ["s-other", "s/seed-0", "s/seed-1"]


def test_two_journals_share_a_store_and_each_search_finds_its_own(
    store: ArtifactStore, tmp_path: Path
) -> None:
    for name, story in (("a", STORY), ("b", ())):
        with open_journal(tmp_path / f"{name}.db", must_exist=False) as journal:
            started(journal, name, story)
            backup_of(journal, store, name).save()
    for name in ("a", "b"):
        restore_newest(store, name, tmp_path / f"new-{name}.db")
        with open_journal(tmp_path / f"new-{name}.db", must_exist=True) as again:
            assert [row.name for row in again.searches()] == [name]


@pytest.mark.parametrize("damage", ["cut", "garbage", "inside"])
def test_a_backup_that_is_damaged_is_passed_over_with_a_note(
    journal: Journal, store: ArtifactStore, path: Path, damage: str
) -> None:
    term = started(journal)
    backup = backup_of(journal, store)
    backup.save()
    journal.append("s", term, [born(number) for number in range(200)], 1.0)
    backup.save()
    newest = "s/journal/0000000001-000000000202.db"
    content = store.read_bytes(newest)
    pages = b"\xa5" * 4096 * (len(content) // 4096 - 6)
    damaged = {
        "cut": content[:-5000],
        "garbage": b"x" * 999,
        "inside": content[:8192] + pages + content[-16384:],
    }
    store.write_bytes(newest, damaged[damage])
    lose(journal, path)
    skipped, brought = restore_newest(store, "s", path)
    assert skipped.startswith(f"the backup {store.place}/{newest} cannot be used: ")
    assert brought.endswith("0000000001-000000000002.db")
    with open_journal(path, must_exist=True) as again:
        assert found(again).term == 1


def test_a_journal_that_is_there_is_never_replaced(
    journal: Journal, store: ArtifactStore, path: Path
) -> None:
    started(journal)
    backup_of(journal, store).save()
    started(journal, "later")
    assert restore_newest(store, "s", path) == ()
    assert journal.find("later") is not None


def test_nothing_is_backed_up_from_a_server_nor_to_this_machine(
    journal: Journal, store: ArtifactStore, tmp_path: Path
) -> None:
    assert Backup.of(journal, ArtifactStore.of(None, tmp_path), "s") is None
    journal.file = None
    assert Backup.of(journal, store, "s") is None


def test_a_store_that_fails_is_a_note_and_no_error(
    journal: Journal, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(journal)

    def refuse(*_: object) -> None:
        raise ConnectionError("no route to the store")

    backup = backup_of(journal, store)
    with monkeypatch.context() as patched:
        patched.setattr(MemoryFileSystem, "put_file", refuse)
        note = backup.save()
    assert note is not None
    assert "no route to the store" in note
    assert note.endswith("; the search goes on")
    assert "\n" not in note
    assert backup.save() is None


def test_a_journal_that_cannot_be_copied_is_a_note_too(store: ArtifactStore, tmp_path: Path) -> None:
    note = Backup(tmp_path / "gone.db", store, "s").save()
    assert note is not None
    assert "unable to open database file" in note


def test_a_store_that_cannot_be_asked_for_backups_is_an_error(
    store: ArtifactStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("no route to the store")

    monkeypatch.setattr(MemoryFileSystem, "find", refuse)
    with pytest.raises(CannotRunError, match="no route to the store"):
        restore_newest(store, "s", path)
    assert not path.exists()


def test_backups_are_due_at_once_and_then_every_minute(journal: Journal, store: ArtifactStore) -> None:
    started(journal)
    backup = backup_of(journal, store)
    assert backup.due(5.0)
    backup.begin(5.0)
    assert not backup.due(64.9)
    assert backup.due(65.0)
    assert backup.save() is None


def test_a_backup_that_hangs_keeps_nobody_waiting(
    journal: Journal, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(journal)
    begun, go_on = threading.Event(), threading.Event()
    real = ArtifactStore.put

    def hang(self: ArtifactStore, local: Path, name: str) -> None:
        begun.set()
        assert go_on.wait(60)
        real(self, local, name)

    monkeypatch.setattr(ArtifactStore, "put", hang)
    backup = backup_of(journal, store)
    backup.begin(0.0)
    assert begun.wait(30)
    backup.begin(60.0)  # left out
    assert backup.due(60.0)
    note = backup.save(wait_seconds=0.01)
    assert note is not None
    assert note.endswith("the last is still under way")
    go_on.set()
    assert backup.save() is None
    assert backup.note() is None
    assert len(store.list()) == 2


def test_what_goes_wrong_in_the_background_is_told_once(
    journal: Journal, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(journal)
    done = threading.Event()

    def refuse(*_: object) -> None:
        done.set()
        raise OSError("quota exceeded")

    monkeypatch.setattr(ArtifactStore, "put", refuse)
    backup = backup_of(journal, store)
    backup.begin(0.0)
    assert done.wait(30)
    backup._thread.join()
    assert "quota exceeded" in backup.note()
    assert backup.note() is None


def test_a_home_whose_disk_is_gone_is_opened_from_the_newest_backup(tmp_path: Path) -> None:
    store = ArtifactStore(f"shelf://{tmp_path}/bucket")
    where = {"env": {}, "cwd": tmp_path, "create": True, "artifacts": store.url, "name": "s"}
    with open_home(None, **where) as home:
        assert home.notes == ()
        started(home.journal)
        backup_of(home.journal, store).save()
    lose(home.journal, tmp_path / "runs" / "journal.db")
    with open_home(None, **where) as again:
        assert found(again.journal).term == 1
        assert again.notes[0].startswith("the journal was not there and was brought back")
    with open_home(None, **where) as third:
        assert third.notes == ()


def test_a_copy_holds_what_the_write_ahead_log_holds(
    journal: Journal, store: ArtifactStore, path: Path
) -> None:
    started(journal)
    with sqlite3.connect(path) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    assert path.with_name("journal.db-wal").stat().st_size > 0
    backup_of(journal, store).save()
    restore_newest(store, "s", path.parent / "other.db")
    with open_journal(path.parent / "other.db", must_exist=True) as copy:
        assert found(copy).term == 1
