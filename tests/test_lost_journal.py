"""A journal that is taken away while its search runs is noticed, rescued, and goes on to the same end."""

import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from evosearch import wiring
from evosearch.config import load_config
from evosearch.errors import CannotRunError, JournalLostError
from evosearch.storage import Home, open_home, opening
from evosearch.testing import ScriptedPool
from evosearch.testing.journal_contract import CREATED
from tests.finished_search import TINY

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
def undisturbed(home, config, scripted, tmp_path):
    """What the search ends with that nothing happens to."""
    with open_home(str(tmp_path / "other/journal.db"), env={}, cwd=tmp_path, create=True) as other:
        wiring.run(config, other)
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


def resume(error: JournalLostError, place: Path) -> list[object]:
    """Do what the message says."""
    storage = re.search(r"`evosearch resume tiny --storage (\S+)` goes on", str(error))
    assert storage is not None
    with open_home(storage[1], env={}, cwd=place, create=False) as rescued:
        assert wiring.resume("tiny", rescued).row.state == "done"
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
        other.journal.create_search("else", CREATED, 1.0)
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
    home, config, undisturbed, place, way, monkeypatch, scripted
):
    with monkeypatch.context() as patched:
        lose(patched, way, home)
        with pytest.raises(JournalLostError) as lost:
            wiring.run(config, home)
    assert lost.value.exit_status == CannotRunError.exit_status == 3
    assert "\n" not in str(lost.value)
    assert f"the journal {home.journal.file} was " in str(lost.value)
    assert "all that it held was copied to" in str(lost.value)
    place.mkdir(exist_ok=True)
    monkeypatch.chdir(place)
    assert resume(lost.value, place) == undisturbed
