"""Backups of a journal: in order, pruned, never in the way of a newer driver, and told of where they fail."""

import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evosearch.errors import InputError, JournalError, StaleTermError
from evosearch.storage import ArtifactStore, Backup, DriverStarted, Journal, open_journal, save_copy
from evosearch.storage.backups.backup_folder import HolderRecord, Shelf
from evosearch.testing.journal_contract import CREATED, STARTED, STORY, born, started
from tests.bucket import BucketFileSystem

AGAIN = DriverStarted("node2", 1, "local", {})


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


def test_the_newest_three_stay_with_a_pointer_to_the_newest(journal: Journal, store: ArtifactStore) -> None:
    term = started(journal)
    backup = backup_of(journal, store)
    for number in range(12):
        journal.append("s", term, [born(number)], 1.0)
        assert backup.save() is None
    kept = [f"s/journal/0000000001-{events:012}.db" for events in (12, 13, 14)]
    assert store.list() == (*kept, "s/journal/holder", "s/journal/newest")
    assert store.read_bytes("s/journal/newest") == b"0000000001-000000000014.db\n"


def test_nothing_is_uploaded_where_nothing_happened(
    journal: Journal, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    term = started(journal)
    backup = backup_of(journal, store)
    backup.save()
    monkeypatch.setattr(Shelf, "put", lambda *_: pytest.fail("uploaded again"))
    journal.beat("s", term, 150.0)
    assert backup.save() is None


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
        patched.setattr(BucketFileSystem, "put_file", refuse)
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
    assert len(store.list()) == 3


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


# Drivers on machines that share nothing but the store


@pytest.fixture
def elsewhere(journal: Journal, path: Path, tmp_path: Path) -> Iterator[Journal]:
    """What another machine made of the same search: a copy under the next term."""
    started(journal)
    journal.close()
    copy = tmp_path / "elsewhere.db"
    shutil.copy(path, copy)
    with open_journal(copy, must_exist=True) as other:
        other.begin_term("s", 1, AGAIN, 130.0)
        yield other


def test_a_driver_that_sees_a_higher_term_ends_and_leaves_the_store_as_it_is(
    journal: Journal, elsewhere: Journal, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = backup_of(journal, store)
    assert backup.save() is None
    with monkeypatch.context() as there:
        there.setattr("socket.gethostname", lambda: "node2")
        assert backup_of(elsewhere, store).save() is None
    before = {name: store.read_bytes(name) for name in store.list()}
    for number in range(9):
        journal.append("s", 1, [born(number)], 1.0)
        with pytest.raises(StaleTermError, match=r"'s' was taken over by a driver on node2 \(process \d+\)"):
            backup.save(released=number == 8)
    with pytest.raises(StaleTermError):
        backup.note()
    assert {name: store.read_bytes(name) for name in store.list()} == before


def test_of_two_that_took_the_same_term_the_later_one_ends(
    journal: Journal, elsewhere: Journal, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.begin_term("s", 1, DriverStarted("node3", 1, "local", {}), 130.0)
    with monkeypatch.context() as there:
        there.setattr("socket.gethostname", lambda: "node2")
        assert backup_of(elsewhere, store).save() is None
    with pytest.raises(StaleTermError, match="on node2"):
        backup_of(journal, store).save()


def test_members_of_a_group_in_one_journal_do_not_end_each_other(
    journal: Journal, store: ArtifactStore
) -> None:
    started(journal, "s/seed-0")
    first = backup_of(journal, store)
    assert first.save() is None
    started(journal, "s/seed-1")
    Shelf.of(store, "s").claim(
        HolderRecord(2, "node1", 4711, 1.0, released=False)
    )  # seed-1's driver, another process
    assert first.save() is None


def test_the_last_word_of_a_driver_is_that_it_ended_unless_another_drives_by_then(
    journal: Journal, store: ArtifactStore
) -> None:
    started(journal)
    shelf, backup = Shelf.of(store, "s"), backup_of(journal, store)
    for released in (False, True):
        assert backup.save(released=released) is None
        assert (shelf.holder().terms, shelf.holder().released) == (1, released)
    other = HolderRecord(1, "node1", 4711, 1.0, released=False)
    shelf.claim(other)
    assert backup.save(released=True) is None
    assert shelf.holder() == other


def test_the_backup_just_written_is_never_pruned(journal: Journal, store: ArtifactStore) -> None:
    term = started(journal)
    for events in range(900, 905):  # of the same term, by a driver elsewhere
        store.write_bytes(f"s/journal/0000000001-{events:012}.db", b"")
    journal.append("s", term, [born(0)], 1.0)
    assert backup_of(journal, store).save() is None
    assert store.exists("s/journal/0000000001-000000000003.db")
    assert store.read_bytes("s/journal/newest") == b"0000000001-000000000904.db\n"
    assert len(Shelf.of(store, "s").backups()) == 6


def test_a_whole_copy_of_a_living_journal_holds_all_that_is_committed(
    journal: Journal, tmp_path: Path
) -> None:
    term = started(journal, story=STORY)
    save_copy(journal, tmp_path / "copy.db")
    journal.append("s", term, [born(5)], 200.0)
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    with open_journal(tmp_path / "copy.db", must_exist=True) as copy:
        assert [one.event for one in copy.replay("s")] == [CREATED, STARTED, *STORY]
    assert sorted(path.name for path in tmp_path.glob("*copy*")) == ["copy.db"]


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_a_copy_overwrites_nothing(journal: Journal, tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "copy.db")
    before = os.lstat(tmp_path / "copy.db")
    with pytest.raises(InputError, match=r"copy\.db exists and is left as it is"):
        save_copy(journal, tmp_path / "copy.db")
    assert os.lstat(tmp_path / "copy.db") == before


def test_a_copy_needs_a_folder_and_a_journal_that_is_a_file(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder that exists"):
        save_copy(journal, tmp_path / "no" / "copy.db")
    journal.file = None
    with pytest.raises(InputError, match="on a server, which copies it: pg_dump "):
        save_copy(journal, tmp_path / "copy.db")


def test_a_journal_that_is_damaged_leaves_no_copy(journal: Journal, tmp_path: Path) -> None:
    started(journal, story=STORY)
    assert journal.file is not None
    journal.checkpoint()
    content = bytearray(journal.file.read_bytes())
    content[4096 * 4 : 4096 * 5] = os.urandom(4096)
    journal.file.write_bytes(content)
    with pytest.raises(JournalError, match="is damaged"):
        save_copy(journal, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_a_plain_copy_of_the_file_holds_what_was_checkpointed(journal: Journal, tmp_path: Path) -> None:
    term = started(journal, story=STORY)
    assert journal.file is not None
    journal.checkpoint()
    journal.append("s", term, [born(5)], 200.0)
    shutil.copy(journal.file, tmp_path / "plain.db")
    with open_journal(tmp_path / "plain.db", must_exist=True) as copy:
        assert [one.event for one in copy.replay("s")] == [CREATED, STARTED, *STORY]
