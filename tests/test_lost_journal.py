"""A journal that is taken away while its search runs is noticed, rescued, and goes on to the same end."""

import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path

import psycopg
import pytest

from evosearch.config import load_config
from evosearch.errors import CannotRunError, JournalLostError
from evosearch.storage import Home, JournalLogbook, Onlooker, open_home
from evosearch.storage.backups.backup_folder import Shelf
from evosearch.storage.journal import opening
from evosearch.testing import ScriptedPool
from evosearch.testing.journal_contract import CREATED, born, started
from tests.bucket import make_bucket
from tests.finished_search import EVALUATIONS, TINY, Api

NFS = "server:/homes / nfs4 rw 0 0\n"


@pytest.fixture(params=["local", "network"])
def place(request, tmp_path, monkeypatch):
    """A folder of its own: what is above it is there still when it is gone."""
    (tmp_path / "mounts").write_text(NFS if request.param == "network" else "")
    monkeypatch.setattr(opening, "_MOUNTS", tmp_path / "mounts")
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.delenv("EVOSEARCH_HOME", raising=False)
    return tmp_path / "project"


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """What is rescued to the folder for temporary files goes with the test."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@pytest.fixture(autouse=True)
def at_once(api):
    """Whoever watches whether a driver lives needs no time for it."""
    clock = count()

    def onlooker(note):
        return Onlooker(note, lambda: float(next(clock)), lambda _: None)

    api.give(make_onlooker=onlooker)


local = pytest.mark.parametrize("place", ["local"], indirect=True)


@pytest.fixture
def home(place):
    with open_home(None, env={}, cwd=place, create=True) as made:
        yield made


@pytest.fixture
def config(place):
    Path("tiny.yaml").write_text(TINY)
    return load_config(Path("tiny.yaml"))


@pytest.fixture
def undisturbed(home, config, scripted, tmp_path, api):
    """What the search ends with that nothing happens to."""
    with open_home(str(tmp_path / "other/journal.db"), env={}, cwd=tmp_path, create=True) as other:
        api.run(config, other)
        return story(other)


def story(home: Home) -> list[object]:
    """Every evaluation, without who did it when."""
    rows = home.journal.evaluations("tiny", with_curve=True)
    return [replace(row, seconds=0.0, worker=None, attempts=0, reasons=()) for row in rows]


def lose(monkeypatch: pytest.MonkeyPatch, way: Callable[[Path], object], home: Home, after: int = 4) -> None:
    """From here on `way` happens to the journal once so many evaluations were begun."""
    real, begun = ScriptedPool.submit, []

    def submit(pool, worker, ticket, request):
        begun.append(ticket)
        if len(begun) == after:
            way(home.journal.file)
        real(pool, worker, ticket, request)

    monkeypatch.setattr(ScriptedPool, "submit", submit)


def resume(api: Api, error: JournalLostError, place: Path) -> list[object]:
    """Do what the message says."""
    storage = re.search(r"`evosearch resume tiny --storage (\S+)` goes on", str(error))
    assert storage is not None
    with open_home(storage[1], env={}, cwd=place, create=False) as rescued:
        assert api.resume("tiny", rescued).row.state == "done"
        return story(rescued)


def delete_home(journal: Path) -> None:
    shutil.rmtree(journal.parent)


def delete_all_above(journal: Path) -> None:
    shutil.rmtree(journal.parent.parent)


def delete_file(journal: Path) -> None:
    journal.unlink()


def delete_files(journal: Path) -> None:
    for file in journal.parent.glob("journal.db*"):
        file.unlink()


def replace_by_garbage(journal: Path) -> None:
    other = journal.with_name("other")
    other.write_bytes(b"no journal " * 999)
    other.replace(journal)


def another_journal(journal: Path) -> Path:
    folder = journal.parent.parent / "another"
    with open_home(str(folder / "journal.db"), env={}, cwd=folder.parent, create=True) as other:
        started(other.journal, "else", [born(number) for number in range(100)])
    return folder / "journal.db"


def replace_by_another_journal(journal: Path) -> None:
    another_journal(journal).replace(journal)


def replace_home(journal: Path) -> None:
    other = another_journal(journal)
    shutil.rmtree(journal.parent)
    other.parent.rename(journal.parent)


def replace_by_older_copy(journal: Path) -> None:
    with (
        closing(sqlite3.connect(journal)) as now,
        closing(sqlite3.connect(journal.with_name("copy"))) as copy,
    ):
        now.backup(copy)
    copy = journal.with_name("copy")
    copy.replace(journal)


WAYS = [
    delete_home,
    delete_all_above,
    delete_file,
    delete_files,
    replace_by_garbage,
    replace_by_another_journal,
    replace_home,
    replace_by_older_copy,
]


@pytest.mark.parametrize("way", WAYS)
def test_a_journal_that_is_taken_away_is_rescued_whole(
    home, config, undisturbed, place, way, monkeypatch, scripted, api
):
    with monkeypatch.context() as patched:
        lose(patched, way, home)
        with pytest.raises(JournalLostError) as lost:
            api.run(config, home)
    assert lost.value.exit_status == CannotRunError.exit_status == 3
    assert "\n" not in str(lost.value)
    assert f"the journal {home.journal.file} was " in str(lost.value)
    assert "all that it held was copied to" in str(lost.value)
    place.mkdir(exist_ok=True)
    monkeypatch.chdir(place)
    assert resume(api, lost.value, place) == undisturbed


def garble(journal: Path) -> None:
    """Write over it in place, as `cp` does."""
    journal.write_bytes(another_journal(journal).read_bytes())


def empty(journal: Path) -> None:
    journal.write_bytes(b"")


def halve(journal: Path) -> None:
    os.truncate(journal, journal.stat().st_size // 2)


def lose_log(journal: Path) -> None:
    journal.with_name("journal.db-wal").unlink()


def lose_index(journal: Path) -> None:
    journal.with_name("journal.db-shm").unlink()


def replace_log(journal: Path) -> None:
    journal.with_name("other").write_bytes(b"")
    journal.with_name("other").replace(journal.with_name("journal.db-wal"))


@local
@pytest.mark.parametrize("way", [garble, empty, halve, lose_log, lose_index, replace_log])
def test_what_is_damaged_in_its_place_is_rescued_from_the_log_of_commits(
    home, config, undisturbed, place, way, monkeypatch, scripted, api
):
    with monkeypatch.context() as patched:
        lose(patched, way, home)
        with pytest.raises(JournalLostError, match="all that it held was copied to") as lost:
            api.run(config, home)
    assert resume(api, lost.value, place) == undisturbed


@pytest.mark.parametrize("way", [garble, empty])
@pytest.mark.parametrize("place", ["network"], indirect=True)
def test_what_nothing_is_left_of_is_told_as_lost(home, config, place, way, monkeypatch, scripted, api):
    lose(monkeypatch, way, home)
    with pytest.raises(
        JournalLostError, match=r"was replaced or overwritten.*nothing of it could be rescued"
    ) as lost:
        api.run(config, home)
    assert str(lost.value).endswith("or begin its searches again, which gives the same results")
    assert not list(place.rglob("*rescued*"))


@pytest.mark.parametrize("place", ["network"], indirect=True)
def test_of_a_long_journal_that_is_cut_the_first_events_are_rescued(
    home, config, place, tmp_path, monkeypatch, scripted, api
):
    config = replace(config, strategy=replace(config.strategy, population=150))
    with open_home(str(tmp_path / "other/journal.db"), env={}, cwd=tmp_path, create=True) as other:
        api.run(config, other)
        undisturbed = story(other)
    with monkeypatch.context() as patched:
        lose(patched, lambda file: os.truncate(file, file.stat().st_size * 3 // 4), home, after=90)
        with pytest.raises(
            JournalLostError, match=r"; the first \d+ of its \d+ events were copied \(what"
        ) as lost:
            api.run(config, home)
    assert resume(api, lost.value, place) == undisturbed


def test_a_home_that_is_moved_is_found_where_it_lies_now(
    home, config, undisturbed, place, monkeypatch, scripted, api
):
    with monkeypatch.context() as patched:
        lose(patched, lambda journal: journal.parent.rename(place / "moved"), home)
        with pytest.raises(JournalLostError) as lost:
            api.run(config, home)
    assert f"nothing is lost, it is in {place}/moved/journal.db now" in str(lost.value)
    assert not home.folder.exists()
    assert resume(api, lost.value, place) == undisturbed


@local
def test_a_journal_that_is_moved_without_its_log_of_commits_is_rescued_whole(
    home, config, undisturbed, place, monkeypatch, scripted, api
):
    with monkeypatch.context() as patched:
        lose(patched, lambda journal: journal.rename(place / "moved.db"), home)
        with pytest.raises(JournalLostError, match="all that it held was copied to") as lost:
            api.run(config, home)
    assert resume(api, lost.value, place) == undisturbed


@pytest.mark.parametrize("after", [1, EVALUATIONS])
def test_it_is_noticed_to_the_last_event(home, config, place, monkeypatch, scripted, after, api):
    lose(monkeypatch, delete_home, home, after)
    with pytest.raises(JournalLostError):
        api.run(config, home)


def test_it_is_noticed_by_the_heartbeat_of_a_driver_that_only_waits(home, config, monkeypatch, scripted, api):
    beat, poll = JournalLogbook.beat, ScriptedPool.poll

    def lose_and_beat(logbook):
        shutil.rmtree(home.folder)
        beat(logbook)

    monkeypatch.setattr("evosearch.runtime.driver.HEARTBEAT_SECONDS", 0.0)
    monkeypatch.setattr(ScriptedPool, "poll", lambda pool, wait: poll(pool, wait)[:1])
    monkeypatch.setattr(JournalLogbook, "beat", lose_and_beat)
    with pytest.raises(JournalLostError, match="was deleted or moved while 'tiny' ran"):
        api.run(config, home)


def test_a_retraining_notices_it_too(home, config, monkeypatch, scripted, api):
    api.run(config, home)
    lose(monkeypatch, delete_home, home, after=1)
    with pytest.raises(JournalLostError, match="all that it held was copied to"):
        api.retrain("tiny", home)


@pytest.mark.parametrize("way", [delete_home, replace_home])
def test_what_has_its_place_is_not_kept_in_its_name_in_a_remote_store(
    home, config, tmp_path, monkeypatch, scripted, way, api
):
    remote = replace(config, storage=replace(config.storage, artifacts=make_bucket(tmp_path)))
    with monkeypatch.context() as patched:
        lose(patched, way, home)
        with pytest.raises(JournalLostError) as lost:
            api.run(remote, home)
    shelf = Shelf.of(api.artifact_store(home, remote), "tiny")
    assert {backup.terms for backup in shelf.backups()} == {1}
    assert "was copied to" in str(lost.value)


def test_a_group_is_told_to_go_on_as_a_group(home, config, place, monkeypatch, scripted, api):
    with monkeypatch.context() as patched:
        lose(patched, delete_home, home)
        with pytest.raises(JournalLostError, match=r"`evosearch resume tiny --storage") as lost:
            api.run_group(config, [0, 1], home)
    (rescued,) = re.findall(r"--storage (\S+)`", str(lost.value))
    with open_home(rescued, env={}, cwd=place, create=False) as after:
        assert [one.row.state for one in api.resume_group("tiny", after)] == ["done", "done"]


def test_nothing_that_has_the_rescues_name_is_overwritten(home, config, place, monkeypatch, scripted, api):
    taken = [home.folder / f"journal-rescued-{number}.db" for number in (1, 2)]
    for file in taken:
        file.write_text("mine")
    lose(monkeypatch, delete_file, home)
    with pytest.raises(JournalLostError, match=r"runs/journal-rescued-3\.db"):
        api.run(config, home)
    assert [file.read_text() for file in taken] == ["mine", "mine"]


def test_what_has_its_place_by_now_is_left_as_it_is(home, config, place, monkeypatch, scripted, api):
    """SQLite deletes the files beside a journal by their names, and these are another's now."""
    others = []

    def begin_anew(journal):
        shutil.rmtree(journal.parent)
        others.append(open_home(None, env={}, cwd=place, create=True))
        others[0].journal.create_search("else", CREATED, 1.0)

    with monkeypatch.context() as patched:
        lose(patched, begin_anew, home)
        with pytest.raises(JournalLostError, match="was replaced "):
            api.run(config, home)
    home.journal.close()
    with others[0] as other:
        other.journal.look("else", 0, 1, thorough=True)
        assert [row.name for row in other.journal.searches()] == ["else"]
    with open_home(None, env={}, cwd=place, create=False) as again:
        again.journal.check()
        assert [row.name for row in again.journal.searches()] == ["else"]


def test_where_nothing_can_be_written_that_is_told(home, config, monkeypatch, scripted, api):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("evosearch.storage.backups.rescue._new_file", refuse)
    lose(monkeypatch, delete_home, home)
    with pytest.raises(
        JournalLostError, match="nothing of it could be rescued: bring it back from a copy, or begin its"
    ):
        api.run(config, home)


def test_a_journal_in_its_place_is_left_in_peace(home, config, scripted, monkeypatch, api):
    """Also where others read and check it meanwhile, and where its log of commits is emptied into it."""

    def disturb(journal):
        with closing(sqlite3.connect(journal)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            connection.execute("PRAGMA quick_check").fetchall()
        with open_home(str(journal), env={}, cwd=journal.parent, create=False) as other:
            other.journal.create_search("else", CREATED, 1.0)

    monkeypatch.setattr("evosearch.runtime.driver.HEARTBEAT_SECONDS", 0.0)
    lose(monkeypatch, disturb, home)
    assert api.run(config, home).row.state == "done"


@pytest.mark.parametrize("place", ["local"], indirect=True)
@pytest.mark.parametrize(
    "statement", ["DROP TABLE events", "DROP TABLE searches CASCADE", "TRUNCATE searches CASCADE"]
)
def test_a_journal_whose_tables_are_dropped_on_its_server_is_told_with_3(
    config, place, database, monkeypatch, scripted, statement, api
):
    def drop(_):
        with psycopg.connect(database) as connection:
            connection.execute(statement)

    with open_home(database, env={}, cwd=place, create=True) as server:
        lose(monkeypatch, drop, server)
        with pytest.raises(
            JournalLostError,
            match=r"the journal postgresql://.* was taken away while 'tiny' ran \(.*\); what it held is lost here: bring it "
            "back from a backup of its server, then `evosearch resume tiny`",
        ):
            api.run(config, server)


@pytest.mark.parametrize("place", ["local"], indirect=True)
def test_a_database_that_is_dropped_on_its_server_is_told_with_3(
    config, place, postgres, monkeypatch, scripted, api
):
    url = postgres.create_database()
    with open_home(url, env={}, cwd=place, create=True) as server:
        lose(monkeypatch, lambda _: postgres.drop_database(url), server)
        with pytest.raises(JournalLostError, match="was taken away while 'tiny' ran"):
            api.run(config, server)
