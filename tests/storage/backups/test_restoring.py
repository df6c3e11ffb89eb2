"""A search whose journal is lost or behind comes back from its own newest backup, and only then."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from evosearch.errors import CannotRunError, HeldError, JournalError, NewerJournalError
from evosearch.storage import (
    ArtifactStore,
    Backup,
    DriverStarted,
    Home,
    Journal,
    Onlooker,
    bring_back,
    open_home,
    open_journal,
    take,
)
from evosearch.storage.backups.backup_folder import HolderRecord, Shelf
from evosearch.testing.journal_contract import STARTED, STORY, born, found, started
from tests.bucket import BucketFileSystem

NOW = 1e9
LOOK = Onlooker()
AGAIN = DriverStarted("node2", 1, "local", {})


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Where searches ran."""
    with open_journal(tmp_path / "first" / "journal.db", must_exist=False) as journal:
        yield journal


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Where they are to come back; it is empty."""
    with open_home(str(tmp_path / "second" / "journal.db"), env={}, cwd=tmp_path, create=True) as home:
        yield home


@pytest.fixture
def back_up(store: ArtifactStore) -> Callable[[Journal, str], None]:
    def save(journal: Journal, name: str = "s") -> None:
        backup = Backup.of(journal, store, name)
        assert backup is not None
        assert backup.save(released=True) is None

    return save


def history(journal: Journal, name: str = "s") -> tuple[object, ...]:
    told = list(journal.replay(name)), journal.evaluations(name, with_curve=True), found(journal, name)
    return *told, journal.generations(name), journal.test_readings(name)


def test_a_lost_search_comes_back_as_it_was(journal, store, home, back_up) -> None:
    started(journal, story=STORY)
    back_up(journal)
    (note,) = bring_back(home, store, "s", LOOK)
    assert note == (
        f"journal {home.journal.place}: 's' was not there and was brought back from "
        f"{store.url}/s/journal/0000000001-{len(STORY) + 2:012}.db"
    )
    assert history(home.journal) == history(journal)
    assert home.journal.begin_term("s", 1, AGAIN, 1.0) == 2
    assert bring_back(home, store, "s", LOOK) == ()


def test_each_search_of_a_lost_journal_comes_back_by_itself(journal, store, home, back_up) -> None:
    for name in ("a", "b"):
        started(journal, name)
        back_up(journal, name)
    journal.append("b", 1, [born(0)], 1.0)
    back_up(journal, "b")
    bring_back(home, store, "a", LOOK)
    home.journal.begin_term("a", 1, AGAIN, 1.0)
    mine = history(home.journal, "a")
    assert [row.name for row in home.journal.searches()] == ["a"]
    bring_back(home, store, "b", LOOK)
    assert history(home.journal, "b") == history(journal, "b")
    assert history(home.journal, "a") == mine


def test_a_journal_that_is_older_than_the_backup_is_replaced_by_it(journal, store, home, back_up) -> None:
    started(journal)
    back_up(journal)
    bring_back(home, store, "s", LOOK)
    home.journal.append("s", 1, [born(number) for number in range(50, 99)], 1.0)  # by who was superseded
    journal.begin_term("s", 1, AGAIN, 130.0)
    journal.append("s", 2, [born(0)], 140.0)
    back_up(journal)
    (note,) = bring_back(home, store, "s", LOOK)
    assert "'s' was older there and was brought back" in note
    assert history(home.journal) == history(journal)


def test_a_journal_that_is_newer_than_the_backup_stays(journal, store, home, back_up) -> None:
    term = started(journal)
    back_up(journal)
    bring_back(home, store, "s", LOOK)
    home.journal.append("s", term, [born(0)], 1.0)
    mine = history(home.journal)
    assert bring_back(home, store, "s", LOOK) == ()
    assert history(home.journal) == mine


def test_a_group_comes_back_with_all_its_members(journal, store, home, back_up) -> None:
    started(home.journal, "s/seed-1", [born(7), born(8)])  # further than the backup of it
    mine = history(home.journal, "s/seed-1")
    for name in ("s-other", "s/seed-0", "s/seed-1", "s/seed-2", "S/seed-0"):
        started(journal, name)
    back_up(journal)
    bring_back(home, store, "s", LOOK)
    assert [row.name for row in home.journal.searches()] == ["s/seed-1", "s/seed-0", "s/seed-2"]
    assert history(home.journal, "s/seed-1") == mine
    assert history(home.journal, "s/seed-2") == history(journal, "s/seed-2")


def test_a_backup_is_consistent_while_the_search_goes_on(journal, store, home, back_up) -> None:
    term = started(journal)
    going = threading.Event()

    def drive() -> None:
        for number in range(200):
            journal.append("s", term, [born(2 * number), born(2 * number + 1)], 1.0)
            going.set()

    driver = threading.Thread(target=drive)
    driver.start()
    assert going.wait(30)
    while driver.is_alive():
        back_up(journal)
    driver.join()
    bring_back(home, store, "s", LOOK)
    home.journal.check()
    rows = home.journal.evaluations("s")
    assert len(rows) % 2 == 0
    assert len(list(home.journal.replay("s"))) == len(rows) + 2


def test_a_backup_holds_what_the_write_ahead_log_holds(journal, store, home, back_up) -> None:
    started(journal)
    assert journal.file.with_name("journal.db-wal").stat().st_size > 0
    back_up(journal)
    bring_back(home, store, "s", LOOK)
    assert found(home.journal).term == 1


def test_nothing_comes_back_from_this_machine_nor_to_a_server(tmp_path, home, database) -> None:
    local = ArtifactStore.of(None, tmp_path)
    assert bring_back(home, local, "s", LOOK) == ()
    with open_home(database, env={}, cwd=tmp_path, create=True) as server:
        assert bring_back(server, ArtifactStore("nowhere://at/all"), "s", LOOK) == ()


# Backups that cannot be used


def newest(store: ArtifactStore) -> str:
    return f"s/journal/{Shelf.of(store, 's').backups()[0].file}"


@pytest.mark.parametrize("damage", ["cut", "garbage", "inside", "an event"])
def test_a_backup_that_is_damaged_is_passed_over_with_a_note(journal, store, home, back_up, damage) -> None:
    term = started(journal)
    back_up(journal)
    journal.append("s", term, [born(number) for number in range(200)], 1.0)
    back_up(journal)
    damaged = newest(store)
    content = store.read_bytes(damaged)
    pages = b"\xa5" * 4096 * (len(content) // 4096 - 6)
    store.write_bytes(
        damaged,
        {
            "cut": content[:-5000],
            "garbage": b"x" * 999,
            "inside": content[:8192] + pages + content[-16384:],
            "an event": content.replace(b'"generation":', b'"generazion":'),
        }[damage],
    )
    skipped, brought = bring_back(home, store, "s", LOOK)
    folder, _, file = damaged.rpartition("/")
    assert skipped.startswith(f"the backup {file} in {store.place}/{folder} cannot be used: ")
    assert "/tmp" not in skipped.partition("cannot be used")[2]
    assert brought.endswith("0000000001-000000000002.db")
    assert found(home.journal).term == 1
    assert home.journal.evaluations("s") == ()


def test_where_every_backup_is_damaged_the_search_is_not_begun_anew(journal, store, home, back_up) -> None:
    started(journal)
    back_up(journal)
    store.write_bytes(newest(store), b"x" * 999)
    with pytest.raises(
        JournalError,
        match=r"'s' is not in the journal, and none of its backups can be used; remove them to begin again: the backup "
        r"0000000001-000000000002\.db in bucket:///.*/s/journal cannot be used: it is no journal but begins with",
    ):
        bring_back(home, store, "s", LOOK)
    store.remove(newest(store))
    assert bring_back(home, store, "s", LOOK) == ()


def test_where_only_the_damaged_backup_is_ahead_the_journal_stays(journal, store, home, back_up) -> None:
    term = started(journal)
    back_up(journal)
    bring_back(home, store, "s", LOOK)
    journal.append("s", term, [born(0)], 1.0)
    back_up(journal)
    store.write_bytes(newest(store), b"x" * 999)
    (note,) = bring_back(home, store, "s", LOOK)
    assert "cannot be used" in note
    assert found(home.journal).term == term


@pytest.mark.parametrize("newer", ["schema", "event"])
def test_a_backup_of_a_newer_version_asks_for_an_upgrade(
    journal, store, home, back_up, newer, tmp_path
) -> None:
    started(journal)
    back_up(journal)
    with closing(sqlite3.connect(journal.file)) as connection:
        connection.execute("UPDATE searches SET sequence = 9")
        connection.execute(
            "UPDATE events SET kind = 'Dreamt' WHERE sequence = 2" if newer == "event" else "SELECT 1"
        )
        connection.execute("PRAGMA user_version = 7" if newer == "schema" else "SELECT 1")
        connection.commit()
    back_up(journal)
    with pytest.raises(NewerJournalError, match="upgrade evosearch to read it") as refused:
        bring_back(home, store, "s", LOOK)
    assert "evosearch-backup-" not in str(refused.value)
    assert home.journal.searches() == ()


def test_a_store_that_cannot_be_asked_is_an_error_unless_the_journal_has_the_search(
    journal, store, home, monkeypatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("no route to the store")

    monkeypatch.setattr(BucketFileSystem, "find", refuse)
    with pytest.raises(CannotRunError, match="no route to the store"):
        bring_back(home, store, "s", LOOK)
    started(home.journal)
    (note,) = bring_back(home, store, "s", LOOK)
    assert note.startswith("whether a newer state of 's' was backed up is not known: ")


# Who drives elsewhere


@pytest.fixture
def aged(store: ArtifactStore) -> Callable[[float], None]:
    """Makes the last word of the holder of `s` so many seconds old by the store's clock."""

    def age(seconds: float) -> None:
        file = Path(store.url.removeprefix("bucket://"), "s/journal/holder")
        then = file.stat().st_mtime - seconds
        os.utime(file, (then, then))

    return age


@pytest.fixture
def timeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store does not tell when a file was written."""

    def refuse(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(BucketFileSystem, "modified", refuse)


def test_a_search_whose_driver_lives_elsewhere_does_not_come_back(
    journal, store, home, back_up, aged
) -> None:
    started(journal)
    back_up(journal)
    shelf = Shelf.of(store, "s")
    shelf.claim(HolderRecord(1, "node7", 12, NOW, released=False))
    aged(20)
    with pytest.raises(
        HeldError,
        match=r"'s' is held by a driver on node7 \(process 12\), whose last heartbeat came 2\d s ago in bucket:///.*/s/"
        r"journal; it counts as dead in 1[23]\d s: wait until then, stop it, or supersede it with --takeover",
    ):
        bring_back(home, store, "s", LOOK)
    assert home.journal.searches() == ()
    assert len(bring_back(home, store, "s", LOOK, takeover=True)) == 1
    assert shelf.holder() is None


@pytest.mark.parametrize(("silent", "released"), [(150, False), (1, True)])
def test_it_does_once_that_driver_is_silent_or_gone(
    journal, store, home, back_up, silent, released, aged
) -> None:
    started(journal)
    back_up(journal)
    Shelf.of(store, "s").claim(
        HolderRecord(1, "node7", 12, time.time() + 1e6, released)
    )  # its clock is ahead
    aged(silent)
    assert len(bring_back(home, store, "s", LOOK)) == 1


def test_a_driver_elsewhere_that_has_backed_up_nothing_yet_is_respected_too(store, home, aged) -> None:
    shelf = Shelf.of(store, "s")
    shelf.claim(HolderRecord(1, "node7", 12, NOW, released=False))
    with pytest.raises(HeldError, match="node7"):
        bring_back(home, store, "s", LOOK)
    aged(150)
    assert bring_back(home, store, "s", LOOK) == ()
    assert shelf.holder() is None


def test_where_the_store_tells_no_time_a_driver_elsewhere_is_watched(
    journal, store, home, back_up, timeless
) -> None:
    started(journal)
    back_up(journal)
    shelf = Shelf.of(store, "s")
    shelf.claim(HolderRecord(1, "node7", 12, NOW, released=False))
    notes: list[str] = []
    passed = [0.0]

    def speak(seconds: float) -> None:
        passed[0] += seconds
        if passed[0] == 60.0:
            shelf.claim(HolderRecord(1, "node7", 12, NOW + 60, released=False))

    onlooker = Onlooker(notes.append, lambda: passed[0], speak)
    with pytest.raises(
        HeldError, match=r"node7 \(process 12\), which lives: it has just spoken in bucket:///"
    ):
        bring_back(home, store, "s", onlooker)
    assert len(bring_back(home, store, "s", onlooker)) == 1
    assert passed == [60.0 + 150.0]
    assert (
        notes
        == [
            "whether a driver of 's' on node7 is alive is not known: its claim is watched for up to 150 s; Ctrl-C ends this "
            "command and changes nothing"
        ]
        * 2
    )


def test_a_driver_elsewhere_that_says_farewell_is_followed_at_once(
    journal, store, home, back_up, timeless
) -> None:
    started(journal)
    back_up(journal)
    shelf = Shelf.of(store, "s")
    shelf.claim(HolderRecord(1, "node7", 12, NOW, released=False))
    leaves = Onlooker(sleep=lambda _: shelf.claim(HolderRecord(1, "node7", 12, NOW, released=True)))
    assert len(bring_back(home, store, "s", leaves)) == 1


def test_a_driver_that_shares_the_journal_is_not_robbed_of_it(journal, store, home, back_up) -> None:
    started(journal)
    back_up(journal)
    bring_back(home, store, "s", LOOK)
    journal.append("s", 1, [born(0)], 1.0)
    back_up(journal)
    held: AbstractContextManager[object] = take(home.journal, home.folder_of("s"), "s", STARTED, lambda: NOW)
    with held:
        journal.begin_term("s", 1, AGAIN, 1.0)
        back_up(journal)
        mine = history(home.journal)
        assert bring_back(home, store, "s", LOOK) == ()
        assert history(home.journal) == mine
