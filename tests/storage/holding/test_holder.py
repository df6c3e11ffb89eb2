"""One driver per search: locks that die with their process, heartbeats, and terms; wherever the journal lies."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from evosearch.errors import (
    CannotRunError,
    HeldError,
    InterruptedSearchError,
    SearchConflictError,
    StaleTermError,
)
from evosearch.storage import (
    Completed,
    DriverStarted,
    Held,
    Journal,
    Onlooker,
    current_state,
    open_journal,
    take,
)
from evosearch.storage.holding.locks import Farewells, FileLocks
from evosearch.storage.journal import opening
from evosearch.testing.journal_contract import CONFIGURATION, CREATED, born, found

STARTED = DriverStarted("node1", 4711, "local", CONFIGURATION)
NFS = "server:/homes / nfs4 rw 0 0\n"


@dataclass(frozen=True)
class Place:
    """Where a journal lies: for `open_journal`, the search's own folder, and the list of mounts."""

    where: str
    folder: Path
    mounts: Path


@pytest.fixture(params=["local", "network", "server"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    where = str(tmp_path / "journal.db")
    if request.param == "server":
        where = request.getfixturevalue("database")
    (tmp_path / "mounts").write_text(NFS if request.param == "network" else "")
    monkeypatch.setattr(opening, "_MOUNTS", tmp_path / "mounts")
    return Place(where, tmp_path / "s", tmp_path / "mounts")


@pytest.fixture
def journal(place: Place) -> Iterator[Journal]:
    with open_journal(place.where, must_exist=False) as journal:
        journal.create_search("s", CREATED, 100.0)
        yield journal


@pytest.fixture
def folder(place: Place) -> Path:
    return place.folder


local = pytest.mark.parametrize("place", ["local"], indirect=True)
network = pytest.mark.parametrize("place", ["network"], indirect=True)
untold = pytest.mark.parametrize("place", ["network", "server"], indirect=True)
trusted = pytest.mark.parametrize("place", ["local", "server"], indirect=True)


def at(seconds: float) -> Callable[[], float]:
    return lambda: seconds


class Watching:
    """A newcomer's look at a driver, without taking any time; `beat` happens every 5 s of it."""

    def __init__(self, beat: Callable[[], object] = lambda: None) -> None:
        self.now = 0.0
        self.notes: list[str] = []
        self._beat = beat
        self.onlooker = Onlooker(self.notes.append, lambda: self.now, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now % 5 < seconds:
            self._beat()


def living(journal: Journal, term: int = 1) -> Onlooker:
    """Sees the driver of `term` beat, by a clock that stands still, as soon as it has begun."""

    def beat() -> None:
        with suppress(StaleTermError):
            journal.beat("s", term, 0.0)

    return Watching(beat).onlooker


def is_free(journal: Journal, folder: Path, term: int) -> bool:
    return journal.locks(folder, "s").state(term) == "free"


def await_free(journal: Journal, folder: Path, term: int) -> None:
    """PostgreSQL frees a lock a moment after its owner has died."""
    for _ in range(500):
        if is_free(journal, folder, term):
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"the lock of term {term} stays")


def test_a_search_that_nobody_drives_is_taken(journal: Journal, folder: Path) -> None:
    with take(journal, folder, "s", STARTED, at(110.0)) as held:
        assert held.term == 1
        assert (found(journal).state, found(journal).term, found(journal).heartbeat) == ("running", 1, 110.0)
        assert not is_free(journal, folder, 1)
    await_free(journal, folder, 1)


@local
def test_a_released_lock_leaves_no_file(journal: Journal, folder: Path) -> None:
    take(journal, folder, "s", STARTED, at(110.0)).release()
    assert list(folder.iterdir()) == []


def test_a_living_driver_is_named_with_what_to_do(journal: Journal, folder: Path) -> None:
    with (
        take(journal, folder, "s", STARTED, at(110.0)),
        pytest.raises(
            HeldError,
            match=r"'s' is held by a driver on node1 \(process 4711, term 1\), which lives; wait until it ends, stop it, "
            "or supersede it with --takeover",
        ),
    ):
        take(journal, folder, "s", STARTED, at(130.0), onlooker=living(journal))
    assert found(journal).term == 1


@pytest.mark.parametrize("ahead", [-1e6, -66.0, 66.0, 1e6])
def test_whatever_the_newcomers_clock_says_a_living_driver_is_respected(
    journal: Journal, folder: Path, ahead: float
) -> None:
    with take(journal, folder, "s", STARTED, at(110.0)), pytest.raises(HeldError, match="which lives"):
        take(journal, folder, "s", STARTED, at(110.0 + ahead), onlooker=living(journal))


@untold
def test_a_heartbeat_is_watched_with_a_word_to_the_user(journal: Journal, folder: Path) -> None:
    alive, dead = Watching(lambda: journal.beat("s", 1, 0.0)), Watching()
    with take(journal, folder, "s", STARTED, at(110.0)):
        with pytest.raises(HeldError):
            take(journal, folder, "s", STARTED, at(110.0), onlooker=alive.onlooker)
        assert alive.now == 5.0
        take(journal, folder, "s", STARTED, at(110.0), onlooker=dead.onlooker).release()
    assert (
        dead.notes
        == alive.notes
        == [
            "whether a driver of 's' is alive is not known: its heartbeat is watched for up to 60 s; Ctrl-C ends this command "
            "and changes nothing"
        ]
    )


@untold
def test_a_signal_ends_the_watch(journal: Journal, folder: Path) -> None:
    def stop() -> None:
        raise InterruptedSearchError("stopped by SIGTERM")

    with take(journal, folder, "s", STARTED, at(110.0)), pytest.raises(InterruptedSearchError):
        take(journal, folder, "s", STARTED, at(110.0), onlooker=Watching(stop).onlooker)
    assert found(journal).term == 1


@untold
def test_the_members_of_a_group_are_watched_at_once(journal: Journal, folder: Path) -> None:
    journal.create_search("t", CREATED, 100.0)
    watching = Watching()
    hung = [take(journal, folder / name, name, STARTED, at(110.0)) for name in ("s", "t")]
    for name in ("s", "t"):
        take(journal, folder / name, name, STARTED, at(110.0), onlooker=watching.onlooker).release()
    assert watching.now == 60.0
    for one in hung:
        one.release()


def test_what_a_driver_writes_tells_the_time_that_passed_whatever_its_clock_does(
    journal: Journal, folder: Path
) -> None:
    watching = Watching()
    wall = iter([3600.0])  # set back an hour just after
    with take(journal, folder, "s", STARTED, lambda: next(wall, 0.0), onlooker=watching.onlooker) as held:
        watching.now += 30.0
        journal.beat("s", held.term, held.clock())
        assert found(journal).seconds == 30.0


def test_a_search_that_was_released_is_taken_at_once(journal: Journal, folder: Path) -> None:
    held = take(journal, folder, "s", STARTED, at(110.0))
    held.release()
    held.release()
    await_free(journal, folder, 1)
    with take(journal, folder, "s", STARTED, at(110.5)) as held:
        assert held.term == 2


@untold
def test_a_driver_that_hangs_is_followed_and_can_write_no_more(journal: Journal, folder: Path) -> None:
    hung = take(journal, folder, "s", STARTED, at(110.0))
    watching = Watching()
    with take(journal, folder, "s", STARTED, at(110.0), onlooker=watching.onlooker) as held:
        assert (held.term, watching.now) == (2, 60.0)
        with pytest.raises(StaleTermError):
            journal.append("s", hung.term, [born(0)], 171.0)
        hung.release()
        assert not is_free(journal, folder, 2)


@local
def test_a_lock_that_a_living_process_holds_here_is_not_overridden_by_time(
    journal: Journal, folder: Path
) -> None:
    watching = Watching()
    with take(journal, folder, "s", STARTED, at(110.0)), pytest.raises(HeldError, match="which lives"):
        take(journal, folder, "s", STARTED, at(1e9), onlooker=watching.onlooker)
    assert (watching.now, watching.notes) == (0.0, [])


@local
def test_a_lock_whose_file_was_deleted_is_taken_again(journal: Journal, folder: Path) -> None:
    with take(journal, folder, "s", STARTED, at(110.0)) as held:
        shutil.rmtree(folder)
        assert is_free(journal, folder, 1)
        held.lock.keep()
        held.lock.keep()
        assert not is_free(journal, folder, 1)
    assert list(folder.iterdir()) == []


@local
def test_a_lock_whose_file_was_deleted_and_taken_by_another_ends_the_driver(
    journal: Journal, folder: Path
) -> None:
    with take(journal, folder, "s", STARTED, at(110.0)) as held:
        (folder / "lock-1").unlink()
        other = journal.locks(folder, "s").acquire(1)
        assert other is not None
        with pytest.raises(
            StaleTermError, match=r"another driver owns the lock .*lock-1 of term 1; this one"
        ):
            held.lock.keep()
        held.release()
        assert (folder / "lock-1").exists()  # the other's
        other.release(driven=True)


def test_a_driver_that_lives_is_superseded_on_request_and_can_write_no_more(
    journal: Journal, folder: Path
) -> None:
    with (
        take(journal, folder, "s", STARTED, at(110.0)) as first,
        take(journal, folder, "s", STARTED, at(111.0), takeover=True) as second,
    ):
        assert second.term == 2
        with pytest.raises(StaleTermError, match=r"taken over by a newer driver \(term 2 > 1\)"):
            journal.append("s", first.term, [born(0)], 112.0)
        with pytest.raises(HeldError, match="term 2"):
            take(journal, folder, "s", STARTED, at(113.0), onlooker=living(journal, 2))


def test_of_two_that_supersede_a_driver_at_once_one_wins(
    journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have looked before either begins its term."""
    both_looked = threading.Barrier(2)
    real = Journal.begin_term

    def begin(self: Journal, name: str, expected: int, event: DriverStarted, now: float) -> int:
        if expected == 1:
            with suppress(threading.BrokenBarrierError):  # where locks are trusted, only one comes here
                both_looked.wait(0.5)
        return real(self, name, expected, event, now)

    ends: list[object] = []

    def supersede() -> None:
        try:
            onlooker = living(journal, 2)
            ends.append(take(journal, folder, "s", STARTED, at(111.0), takeover=True, onlooker=onlooker))
        except HeldError as error:
            ends.append(error)

    with take(journal, folder, "s", STARTED, at(110.0)):
        monkeypatch.setattr(Journal, "begin_term", begin)
        threads = [threading.Thread(target=supersede) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(type(end).__name__ for end in ends) == ["Held", "HeldError"]
    assert found(journal).term == 2
    for end in ends:
        if isinstance(end, Held):
            end.release()


def test_a_driver_that_holds_a_finished_search_to_retrain_is_respected(
    journal: Journal, folder: Path
) -> None:
    with take(journal, folder, "s", STARTED, at(110.0)) as held:
        journal.append("s", held.term, [Completed(None)], 120.0)
    await_free(journal, folder, 1)
    retraining = replace(STARTED, purpose="retrain")
    with take(journal, folder, "s", retraining, at(121.0)):
        assert found(journal).state == "done"
        with pytest.raises(HeldError):
            take(journal, folder, "s", retraining, at(122.0), onlooker=living(journal, 2))


def test_a_missing_search_is_not_taken(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(SearchConflictError, match="no search named 'other'"):
        take(journal, tmp_path / "other", "other", STARTED, at(1.0))


@pytest.mark.parametrize("place", ["local", "network"], indirect=True)
def test_a_folder_that_cannot_hold_a_lock_is_named(journal: Journal, folder: Path) -> None:
    folder.write_text("a file in its place")
    with pytest.raises(CannotRunError, match=f"no lock can be kept in {folder}"):
        take(journal, folder, "s", STARTED, at(110.0))


def test_a_lock_is_freed_when_the_term_cannot_begin(
    journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise CannotRunError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(journal, "begin_term", full)
        with pytest.raises(CannotRunError, match="disk full"):
            take(journal, folder, "s", STARTED, at(110.0))
    with take(journal, folder, "s", STARTED, at(110.1)) as held:
        assert held.term == 1


@trusted
def test_a_driver_that_has_the_next_lock_and_not_yet_the_term_is_waited_for_and_told(
    journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evosearch.storage.holding.locks._LOCK_SECONDS", 0.01)
    starting = journal.locks(folder, "s").acquire(1)
    assert starting is not None
    with pytest.raises(HeldError, match="'s' is just being started by another driver"):
        take(journal, folder, "s", STARTED, at(110.0))
    starting.release(driven=False)


@pytest.mark.parametrize("kind", [FileLocks, Farewells])
def test_older_terms_leave_no_files(kind: type[FileLocks] | type[Farewells], folder: Path) -> None:
    locks = kind(folder)
    for term in (1, 2):
        lock = locks.acquire(term)
        assert lock is not None
        lock.release(driven=True)
    last = locks.acquire(3)
    locks.forget(3)
    assert [file.name for file in folder.iterdir()] == (["lock-3"] if kind is FileLocks else [])
    assert last is not None
    last.release(driven=True)


@network
def test_a_farewell_that_cannot_be_said_is_no_error(journal: Journal, folder: Path) -> None:
    held = take(journal, folder, "s", STARTED, at(110.0))
    folder.rmdir()
    held.release()
    assert not is_free(journal, folder, 1)


def test_the_state_of_a_search_without_a_living_driver_is_interrupted(journal: Journal, folder: Path) -> None:
    take(journal, folder, "s", STARTED, at(110.0)).release()
    row = found(journal)
    for host in ("node1", "node2"):
        assert current_state(row, "free", host, 110.0) == "interrupted"
        assert current_state(row, "held", host, 999.0) == "running"
        assert current_state(replace(row, state="done"), "free", host, 999.0) == "done"
        assert current_state(row, "unknown", host, 170.0) == "running"


def test_only_on_its_own_machine_does_the_age_of_its_heartbeat_tell_that_a_driver_died(
    journal: Journal, folder: Path
) -> None:
    take(journal, folder, "s", STARTED, at(110.0)).release()
    row = found(journal)
    assert current_state(row, "unknown", "node1", 170.1) == "interrupted"
    assert current_state(row, "unknown", "node2", 170.1) == "running"


DRIVER = """
import os, subprocess, sys, time
from pathlib import Path
from evosearch.errors import HeldError
from evosearch.storage import DriverStarted, Onlooker, open_journal, take
from evosearch.storage.journal import opening
where, folder, mounts, way = sys.argv[1:]
opening._MOUNTS = Path(mounts)
with open_journal(where, must_exist=True) as journal:
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        beats = lambda _: journal.beat("s", 1, time.time())  # as the other one would
        held = take(journal, Path(folder), "s", DriverStarted("here", os.getpid(), "local", {}), time.time,
                    onlooker=Onlooker(sleep=beats))
    except HeldError as error:
        print("held", error, flush=True)
        sys.exit(error.exit_status)
    if way == "forks" and os.fork() == 0:
        sys.stdin.readline()  # outlives its parent
        os._exit(0)
    if way == "forks and ends" and (child := os.fork()) == 0:
        sys.exit(0)  # with all the cleaning up of an ordinary end
    elif way == "forks and ends":
        os.waitpid(child, 0)
    if way == "spawns":
        subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.readline()"], close_fds=False)
    print("took", held.term, flush=True)
    sys.stdin.readline()
"""


def driver(place: Place, way: str = "alone") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, place.where, place.folder, place.mounts, way],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    process.stdin.write("go\n")
    process.stdin.flush()


@trusted
@pytest.mark.parametrize("way", ["alone", "forks", "spawns"])
def test_a_killed_driver_is_followed_at_once_even_if_its_children_live(
    journal: Journal, folder: Path, place: Place, way: str
) -> None:
    with driver(place, way) as process:
        go(process)
        assert process.stdout.readline() == "took 1\n"
        with pytest.raises(HeldError, match=f"process {process.pid}, term 1"):
            take(journal, folder, "s", STARTED, at(1.0), onlooker=living(journal))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        await_free(journal, folder, 1)
        watching = Watching()
        with take(journal, folder, "s", STARTED, at(1.0), onlooker=watching.onlooker) as held:
            assert (held.term, watching.now) == (2, 0.0)


@trusted
def test_a_child_that_ends_does_not_take_the_lock_along(journal: Journal, folder: Path, place: Place) -> None:
    with driver(place, "forks and ends") as process:
        go(process)
        assert process.stdout.readline() == "took 1\n"
        assert not is_free(journal, folder, 1)
        process.communicate()
    await_free(journal, folder, 1)


@network
def test_on_a_network_a_killed_driver_is_followed_when_its_heartbeat_is_old(
    journal: Journal, folder: Path, place: Place
) -> None:
    with driver(place) as process:
        go(process)
        assert process.stdout.readline() == "took 1\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    watching = Watching()
    with take(journal, folder, "s", STARTED, at(1.0), onlooker=watching.onlooker) as held:
        assert (held.term, watching.now) == (2, 60.0)


def test_of_two_drivers_that_start_at_once_one_wins(journal: Journal, place: Place) -> None:
    with driver(place) as first, driver(place) as second:
        go(first)
        go(second)
        words = sorted(process.stdout.readline() for process in (first, second))
        assert words[0].startswith("held search 's' is ")
        assert words[1] == "took 1\n"
        for process in (first, second):
            process.communicate()
        assert sorted(process.returncode for process in (first, second)) == [0, HeldError.exit_status]
    assert found(journal).term == 1
