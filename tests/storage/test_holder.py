"""One driver per search: locks that die with their process, heartbeats, and terms."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evosearch.errors import CannotRunError, HeldError, SearchConflictError, StaleTermError
from evosearch.storage import DriverStarted, Journal, current_state, lock_is_free, open_journal, take
from evosearch.testing.journal_contract import CONFIGURATION, CREATED, born, found

STARTED = DriverStarted("node1", 4711, "local", CONFIGURATION)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with open_journal(tmp_path / "journal.db", must_exist=False) as journal:
        journal.create_search("s", CREATED, 100.0)
        yield journal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "s"


def at(seconds: float) -> Callable[[], float]:
    return lambda: seconds


def test_a_search_that_nobody_drives_is_taken(journal: Journal, folder: Path) -> None:
    with take(journal, folder, "s", STARTED, at(110.0)) as held:
        assert held.term == 1
        assert (found(journal).state, found(journal).term, found(journal).heartbeat) == ("running", 1, 110.0)
        assert not lock_is_free(folder, 1)
    assert lock_is_free(folder, 1)
    assert list(folder.iterdir()) == []


def test_a_living_driver_is_named_with_what_to_do(journal: Journal, folder: Path) -> None:
    with (
        take(journal, folder, "s", STARTED, at(110.0)),
        pytest.raises(
            HeldError,
            match=r"'s' is held by a driver on node1 \(process 4711, term 1, last sign of life 20 s ago\); wait",
        ),
    ):
        take(journal, folder, "s", STARTED, at(130.0))
    assert found(journal).term == 1


def test_a_search_that_was_released_is_taken_at_once(journal: Journal, folder: Path) -> None:
    take(journal, folder, "s", STARTED, at(110.0)).release()
    with take(journal, folder, "s", STARTED, at(110.5)) as held:
        assert held.term == 2


def test_a_driver_that_hangs_is_followed_and_can_write_no_more(journal: Journal, folder: Path) -> None:
    hung = take(journal, folder, "s", STARTED, at(110.0))
    with pytest.raises(HeldError):
        take(journal, folder, "s", STARTED, at(170.0))
    with take(journal, folder, "s", STARTED, at(170.1)) as held:
        assert held.term == 2
        with pytest.raises(StaleTermError):
            journal.append("s", hung.term, [born(0)], 171.0)
        assert [file.name for file in folder.iterdir()] == ["lock-2"]
        hung.release()
        assert not lock_is_free(folder, 2)


def test_a_missing_search_is_not_taken(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(SearchConflictError, match="no search named 'other'"):
        take(journal, tmp_path / "other", "other", STARTED, at(1.0))


def test_a_folder_that_cannot_hold_a_lock_is_named(journal: Journal, folder: Path) -> None:
    folder.write_text("a file in its place")
    with pytest.raises(CannotRunError, match=f"no lock can be kept in {folder}"):
        take(journal, folder, "s", STARTED, at(110.0))


def test_a_lock_is_freed_when_the_term_cannot_begin(
    journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise CannotRunError("disk full")

    monkeypatch.setattr(journal, "begin_term", full)
    with pytest.raises(CannotRunError, match="disk full"):
        take(journal, folder, "s", STARTED, at(110.0))
    assert lock_is_free(folder, 1)


def test_a_driver_that_has_the_next_lock_and_not_yet_the_term_is_waited_for_and_told(
    journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evosearch.storage.holder._LOCK_SECONDS", 0.01)
    with take(journal, folder, "s", STARTED, at(110.0)):
        (folder / "lock-1").rename(folder / "lock-2")  # its lock counts for the term after
        with pytest.raises(HeldError, match="'s' is just being started by another driver"):
            take(journal, folder, "s", STARTED, at(120.0))


def test_the_state_of_a_search_without_a_living_driver_is_interrupted(journal: Journal, folder: Path) -> None:
    take(journal, folder, "s", STARTED, at(110.0)).release()
    row = found(journal)
    assert current_state(row, lock_is_free=False, now=170.0) == "running"
    assert current_state(row, lock_is_free=False, now=170.1) == "interrupted"
    assert current_state(row, lock_is_free=True, now=110.0) == "interrupted"
    assert current_state(replace(row, state="done"), lock_is_free=True, now=999.0) == "done"


DRIVER = """
import os, subprocess, sys, time
from pathlib import Path
from evosearch.errors import HeldError
from evosearch.storage import DriverStarted, open_journal, take
home = Path(sys.argv[1])
with open_journal(home / "journal.db", must_exist=True) as journal:
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        held = take(journal, home / "s", "s", DriverStarted("here", os.getpid(), "local", {}), time.time)
    except HeldError as error:
        print("held", error, flush=True)
        sys.exit(error.exit_status)
    if sys.argv[2] == "forks" and os.fork() == 0:
        sys.stdin.readline()  # outlives its parent
        os._exit(0)
    if sys.argv[2] == "spawns":
        subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.readline()"], close_fds=False)
    print("took", held.term, flush=True)
    sys.stdin.readline()
"""


def driver(home: Path, way: str = "alone") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, home, way], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    process.stdin.write("go\n")
    process.stdin.flush()


@pytest.mark.parametrize("way", ["alone", "forks", "spawns"])
def test_a_killed_driver_is_followed_at_once_even_if_its_children_live(
    journal: Journal, folder: Path, way: str
) -> None:
    with driver(folder.parent, way) as process:
        go(process)
        assert process.stdout.readline() == "took 1\n"
        with pytest.raises(HeldError, match=f"process {process.pid}, term 1"):
            take(journal, folder, "s", STARTED, at(found(journal).heartbeat + 1))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with take(journal, folder, "s", STARTED, at(found(journal).heartbeat + 1)) as held:
            assert held.term == 2


def test_of_two_drivers_that_start_at_once_one_wins(journal: Journal, folder: Path) -> None:
    with driver(folder.parent) as first, driver(folder.parent) as second:
        go(first)
        go(second)
        words = sorted(process.stdout.readline() for process in (first, second))
        assert words[0].startswith("held search 's' is ")
        assert words[1] == "took 1\n"
        for process in (first, second):
            process.communicate()
        assert sorted(process.returncode for process in (first, second)) == [0, HeldError.exit_status]
    assert found(journal).term == 1
