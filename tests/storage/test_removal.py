"""Deleting: a search goes with its retrainings, files and backups, nothing else does, and nothing brings it back."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from evosearch.errors import CannotRunError, HeldError, InputError, SearchConflictError
from evosearch.storage import (
    ArtifactStore,
    Backup,
    DriverStarted,
    Event,
    Home,
    Onlooker,
    SearchCreated,
    TestRead,
    TestReadingBegun,
    TestReadingFailed,
    bring_back,
    delete,
    open_home,
    take,
    what_is_deleted,
)
from evosearch.storage.backups.backup_folder import HolderRecord, Shelf
from evosearch.testing.journal_contract import STARTED, STORY
from tests.bucket import BucketFileSystem

LOOK = Onlooker()
UNREAD = [fact for fact in STORY if not isinstance(fact, TestReadingBegun | TestRead | TestReadingFailed)]
"""Of a retraining that has not read the test split."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with open_home(str(tmp_path / "home" / "journal.db"), env={}, cwd=tmp_path, create=True) as home:
        yield home


@pytest.fixture
def add(home: Home) -> Callable[..., None]:
    """Adds a finished search with files of its own."""

    def add(
        name: str, parent: str | None = None, artifacts: str | None = None, story: Sequence[Event] = STORY
    ) -> None:
        configuration = {"storage": {"artifacts": artifacts}}
        home.journal.create_search(name, SearchCreated(configuration, "k", {}, 1, parent), 1.0)
        term = home.journal.begin_term(name, 0, DriverStarted("node", 1, "local", configuration), 2.0)
        home.journal.append(name, term, story, 3.0)
        store = ArtifactStore.of(artifacts, home.folder).within(name)
        store.write_bytes("final/best.safetensors", b"weights")
        (home.folder_of(name) / "checkpoints").mkdir(parents=True, exist_ok=True)

    return add


def names(home: Home) -> list[str]:
    return [row.name for row in home.journal.searches()]


def test_a_search_goes_with_its_retrainings_and_files_and_its_name_is_free(home, add) -> None:
    add("digits")
    add("digits/final-30", parent="digits")
    add("digits2")
    assert [row.name for row in what_is_deleted(home, "digits")] == ["digits", "digits/final-30"]
    assert delete(home, "digits", LOOK) == ()
    assert names(home) == ["digits2"]
    assert {path.name for path in home.folder.iterdir() if not path.name.startswith("journal.db")} == {
        "digits2"
    }
    assert (home.folder / "digits2" / "final" / "best.safetensors").is_file()
    add("digits")
    assert len(home.journal.test_readings("digits")) == 2  # of its own story alone


def test_a_retraining_that_has_read_nothing_goes_alone(home, add) -> None:
    add("digits")
    add("digits/final-30", parent="digits", story=UNREAD)
    assert delete(home, "digits/final-30", LOOK) == ()
    assert names(home) == ["digits"]
    assert not home.folder_of("digits/final-30").exists()
    assert (home.folder_of("digits") / "final" / "best.safetensors").is_file()


def test_a_group_goes_whole_and_a_member_alone(home, add) -> None:
    for seed in (0, 1):
        add(f"dogs/seed-{seed}")
        add(f"dogs/seed-{seed}-final-9", parent=f"dogs/seed-{seed}")
    add("cats/seed-0")
    delete(home, "dogs/seed-0", LOOK)
    assert names(home) == ["dogs/seed-1", "dogs/seed-1-final-9", "cats/seed-0"]
    delete(home, "dogs", LOOK)
    assert names(home) == ["cats/seed-0"]
    assert not home.folder_of("dogs").exists()
    delete(home, "cats/seed-0", LOOK)
    assert not home.folder_of("cats").exists()  # an empty group is none


def test_what_is_not_there_is_said_with_what_is(home, add) -> None:
    add("digits")
    with pytest.raises(SearchConflictError, match=r"no search 'digit' .* it holds digits"):
        delete(home, "digit", LOOK)


def test_a_search_that_is_driven_stays(home, add) -> None:
    add("digits")
    add("digits/final-30", parent="digits")
    driver = DriverStarted("node", os.getpid(), "local", {})
    with (
        take(home.journal, home.folder_of("digits/final-30"), "digits/final-30", driver, lambda: 9.0),
        pytest.raises(HeldError, match="'digits/final-30' is held by a driver on node"),
    ):
        delete(home, "digits", LOOK)
    assert names(home) == ["digits", "digits/final-30"]
    assert (home.folder_of("digits") / "final" / "best.safetensors").is_file()
    assert delete(home, "digits", LOOK) == ()


def test_a_search_that_is_just_being_started_stays(home, add) -> None:
    add("digits")
    starting = home.journal.locks(home.folder_of("digits"), "digits").acquire(2)
    with pytest.raises(HeldError, match="'digits' is just being started"):
        delete(home, "digits", LOOK)
    starting.release(driven=False)
    assert names(home) == ["digits"]
    assert delete(home, "digits", LOOK) == ()


def test_files_elsewhere_go_and_those_of_others_stay(home, add, tmp_path) -> None:
    shared = tmp_path / "shared"
    for name in ("digits", "others"):
        add(name, artifacts=str(shared))
    delete(home, "digits", LOOK)
    assert [path.name for path in shared.iterdir()] == ["others"]


def test_a_link_goes_and_what_it_leads_to_stays(home, add, tmp_path) -> None:
    add("digits")
    home.folder_of("digits").rename(tmp_path / "far")
    home.folder_of("digits").symlink_to(tmp_path / "far")
    delete(home, "digits", LOOK)
    assert not os.path.lexists(home.folder_of("digits"))
    assert (tmp_path / "far" / "final" / "best.safetensors").is_file()


def test_a_name_of_a_strangers_journal_becomes_no_path(home, add, tmp_path) -> None:
    add("digits")
    (tmp_path / "precious").mkdir()
    with home.journal._database.writer.begin() as connection:
        connection.exec_driver_sql("UPDATE searches SET name = '../precious'")
    with pytest.raises(InputError, match="cannot name a search"):
        delete(home, "../precious", LOOK)
    assert (tmp_path / "precious").is_dir()


def test_nothing_brings_a_deleted_search_back(home, add, store) -> None:
    add("digits", artifacts=store.url)
    Backup.of(home.journal, store, "digits").save(released=True)
    assert "digits/final/best.safetensors" in store.list()
    assert delete(home, "digits", LOOK) == ()
    assert store.list() == ()
    assert bring_back(home, store, "digits", LOOK) == ()
    assert names(home) == []


def test_the_rest_of_a_group_is_backed_up_anew_without_the_member(home, add, store, tmp_path) -> None:
    for seed in (0, 1):
        add(f"dogs/seed-{seed}", artifacts=store.url)
    Backup.of(home.journal, store, "dogs").save(released=True)
    assert delete(home, "dogs/seed-0", LOOK) == ()
    assert bring_back(home, store, "dogs", LOOK) == ()
    with open_home(str(tmp_path / "new" / "journal.db"), env={}, cwd=tmp_path, create=True) as new:
        assert bring_back(new, store, "dogs", LOOK)
        assert names(new) == ["dogs/seed-1"]


def test_a_driver_elsewhere_that_keeps_backups_is_respected(home, add, store) -> None:
    add("digits", artifacts=store.url)
    Shelf.of(store, "digits").claim(HolderRecord(9, "far", 1, 1.0, released=False))
    with pytest.raises(HeldError, match="held by a driver on far"):
        delete(home, "digits", LOOK)
    assert names(home) == ["digits"]


def test_where_backups_cannot_be_removed_the_search_stays(home, add, store, monkeypatch) -> None:
    add("digits", artifacts=store.url)
    Backup.of(home.journal, store, "digits").save(released=True)

    def refuse(*_: object) -> None:
        raise ConnectionError("no route to the store")

    with monkeypatch.context() as patched:
        patched.setattr(BucketFileSystem, "rm_file", refuse)
        with pytest.raises(CannotRunError, match="no route to the store"):
            delete(home, "digits", LOOK)
    assert names(home) == ["digits"]
    assert delete(home, "digits", LOOK) == ()


def test_files_that_stay_are_named(home, add, store, monkeypatch) -> None:
    add("digits", artifacts=store.url)

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("no route to the store")

    with monkeypatch.context() as patched:
        patched.setattr(BucketFileSystem, "rm", refuse)
        (note,) = delete(home, "digits", LOOK)
    assert note.startswith(
        "'digits' is out of the journal, but some of its files stay; remove them by hand: "
    )
    assert names(home) == []


def test_a_search_in_postgresql_goes_like_any_other(database, tmp_path) -> None:
    with open_home(database, env={}, cwd=tmp_path, create=True) as home:
        home.journal.create_search("digits", SearchCreated({}, "k", {}, 1), 1.0)
        home.journal.append("digits", home.journal.begin_term("digits", 0, STARTED, 2.0), STORY, 3.0)
        home.folder_of("digits").mkdir(parents=True)
        assert delete(home, "digits", LOOK) == ()
        assert names(home) == []
        assert not home.folder_of("digits").exists()


def test_a_folder_that_holds_files_of_another_search_stays(home, add) -> None:
    add("digits")
    add("digits/final-30", parent="digits")
    for name in ("digits/x", "digits/y"):  # the first versions began such ones
        add(name)
    with pytest.raises(
        SearchConflictError,
        match=r"^the files of 'digits/x', 'digits/y' are in the folder of 'digits'; delete these first$",
    ):
        delete(home, "digits", LOOK)
    assert len(names(home)) == 4
    assert (home.folder_of("digits/x") / "final" / "best.safetensors").is_file()
    for name in ("digits/x", "digits/y", "digits"):
        assert delete(home, name, LOOK) == ()
    assert names(home) == []


@pytest.mark.parametrize("in_a_store", [False, True])
def test_a_winner_goes_with_the_retraining_that_trained_it(home, add, store, in_a_store) -> None:
    artifacts = store.url if in_a_store else None
    add("digits", artifacts=artifacts)
    for epochs in (9, 30):
        add(f"digits/final-{epochs}", parent="digits", artifacts=artifacts, story=UNREAD)
    own = ArtifactStore.of(artifacts, home.folder).within("digits")
    own.write_bytes("winner.safetensors", b"weights")
    own.write_bytes("winner.json", b'{"retraining": "digits/final-30"}')
    delete(home, "digits/final-9", LOOK)
    assert own.exists("winner.json")
    assert own.exists("winner.safetensors")
    delete(home, "digits/final-30", LOOK)
    assert not own.exists("winner.json")
    assert not own.exists("winner.safetensors")
    assert own.exists("final/best.safetensors")
