"""A disk that fills up, and a journal whose end is torn or whose middle is damaged."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evosearch.storage import Finished
from evosearch.testing import FormulaEvaluator
from tests.chaos.arena import Arena
from tests.chaos.missing import cannot_run
from tests.chaos.searches import Search

pytestmark = [pytest.mark.chaos, pytest.mark.ray, pytest.mark.timeout(240, func_only=True)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        cannot_run(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def _fill(folder: Path) -> Path:
    """A file that takes all that is left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (2**16, 2**12, 1):
            try:
                while True:
                    file.write(os.urandom(size))
            except OSError:
                continue
    return filler


def test_a_full_disk_stops_the_search_with_3_and_room_lets_it_go_on(
    arena: Arena, tmp_path: Path, small_disk: Path
) -> None:
    with Search(tmp_path, arena, FormulaEvaluator(seconds=0.5), home=small_disk / "home") as search:
        first = search.start()
        search.wait_for(Finished, 3)
        filler = _fill(small_disk)
        assert first.wait() == 3, first.log()
        assert "full" in first.log().splitlines()[-1]
        assert "Traceback" not in first.log()
        second = search.start()
        assert second.wait() == 3, second.log()
        assert "Traceback" not in second.log()
        filler.unlink()
        search.finish(search.start())


def _cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1500)  # into the last commit


def _garble(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(-1500, os.SEEK_END)
        opened.write(os.urandom(1500))


def _lose(file: Path) -> None:
    file.unlink()


def _killed(search: Search) -> Path:
    """A search whose driver was killed; the log of its journal's last commits."""
    driver = search.start()
    search.wait_for(Finished, 6)
    driver.kill()
    log = search.journal_file.with_name("journal.db-wal")
    assert log.stat().st_size > 3000
    return log


@pytest.mark.parametrize("tear", [_cut, _garble])
def test_a_journal_whose_last_commit_is_torn_goes_on_from_the_one_before(
    arena: Arena, tmp_path: Path, tear: Callable[[Path], None]
) -> None:
    with Search(tmp_path, arena, FormulaEvaluator(seconds=0.5)) as search:
        log = _killed(search)
        before = _last_sequence(search, tmp_path / "copy")
        tear(log)
        assert 0 < len(search.events()) < before
        search.finish(search.start())


@pytest.mark.parametrize("damage", [_cut, _garble])
def test_a_damaged_journal_is_refused_with_2_never_written_to_and_its_copy_goes_on(
    arena: Arena, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    with Search(tmp_path, arena, FormulaEvaluator(seconds=0.5)) as search:
        log = _killed(search)
        _checkpoint(search.journal_file)
        copy = shutil.copy(search.journal_file, tmp_path / "copy.db")
        damage(search.journal_file)
        damaged = search.journal_file.read_bytes()
        refused = search.start()
        assert refused.wait() == 2, refused.log()
        assert "damaged" in refused.log().splitlines()[-1]
        assert "Traceback" not in refused.log()
        assert search.journal_file.read_bytes() == damaged
        log.unlink(missing_ok=True)
        shutil.copy(copy, search.journal_file)
        search.finish(search.start())


def _last_sequence(search: Search, folder: Path) -> int:
    """How many events there are, counted in a copy: who looks at a journal may tidy it up."""
    shutil.copytree(search.home, folder / "home")
    copied = Search(folder, None, FormulaEvaluator(), home=folder / "home")
    return len(copied.events())


def _checkpoint(journal: Path) -> None:
    """Let SQLite move all commits from the log into the file."""
    import sqlite3

    connection = sqlite3.connect(journal)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
