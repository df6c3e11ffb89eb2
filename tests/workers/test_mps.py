"""NVIDIA's Multi-Process Service for workers that share a GPU, with a stand-in for NVIDIA's program."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from evosearch.importing import child_environment
from evosearch.testing.evaluators import FormulaEvaluator
from evosearch.testing.pool_contract import tiny_data
from tests.workers.sent import stand_in
from workers import mps
from workers.mps import CONTROL, LOGS, PIPES, Sharing
from workers.worker.service import Upkeep, prepare

WORKER = """
import os, sys
from pathlib import Path
from workers import mps
print(mps.join(os.environ, Path(sys.argv[1]), sys.argv[2]), os.environ.get(mps.PIPES), flush=True)
sys.stdin.read()
"""
"""Joins, says how, and lives until its standard input ends."""

WORKS = ""
"""A trial that succeeds: there is no GPU here."""

PATIENCE = 60.0


class Node:
    """A machine on which workers come and go. `control`: the folder of the stand-in."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.base = folder / "base"
        self.base.mkdir()
        self.control = stand_in(folder / "bin")
        self._stack = stack

    @property
    def folder(self) -> Path:
        return self.base / "-".join(("evosearch-mps", str(os.getuid()), *mps._gpus(mps.DEVICES)))

    @property
    def daemons(self) -> list[int]:
        """Pids of all that were ever started."""
        started = self.control / "started"
        return [int(line.split()[0]) for line in started.read_text().splitlines()] if started.exists() else []

    def worker(self, trial: str = WORKS, **environment: str) -> "subprocess.Popen[str]":
        path = f"{self.control}{os.pathsep}{os.environ['PATH']}"
        process = self._stack.enter_context(
            subprocess.Popen(
                (sys.executable, "-P", "-c", WORKER, str(self.base), trial),
                env={**os.environ, "PATH": path, **child_environment(), **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        self._stack.callback(process.kill)
        return process


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.delenv(PIPES, raising=False)
    with ExitStack() as stack:
        made = Node(tmp_path, stack)
        yield made
        stack.close()
        ended(*made.daemons)


def said(worker: "subprocess.Popen[str]") -> str:
    assert worker.stdout
    return worker.stdout.readline().strip()


def lives(pid: int) -> bool:
    """Whether it does; who has ended and was not asked for its status by its parent, which may be anybody, does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ended(*pids: int) -> None:
    """Wait until these processes have."""
    until(lambda: not any(map(lives, pids)))


def until(is_so: Callable[[], bool]) -> None:
    """Wait."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def leave(worker: "subprocess.Popen[str]") -> None:
    worker.communicate()


def test_of_four_that_come_at_once_one_starts_the_daemon_and_it_ends_with_the_last(node: Node) -> None:
    workers = [node.worker(CUDA_VISIBLE_DEVICES="1") for _ in range(4)]
    assert {said(worker) for worker in workers} == {f"{Sharing(True)} {node.folder / 'pipe'}"}
    (daemon,) = node.daemons
    assert (node.control / "started").read_text() == f"{daemon} all\n", "it sees every GPU of the machine"
    for worker in workers[:3]:
        leave(worker)
    latecomer = node.worker()
    assert said(latecomer).startswith(str(Sharing(True)))
    leave(workers[3])
    assert lives(daemon)
    latecomer.kill()  # as pools end workers
    ended(daemon)
    assert said(node.worker()).startswith(str(Sharing(True)))
    assert len(node.daemons) == 2


def test_what_a_killed_keeper_left_serves_whom_it_has_and_is_ended_by_the_next_start(node: Node) -> None:
    first = node.worker()
    said(first)
    (daemon,) = node.daemons
    keeper = psutil.Process(daemon).parent()
    assert keeper
    keeper.kill()
    ended(keeper.pid)
    second = node.worker()
    assert said(second).startswith(str(Sharing(True)))
    assert node.daemons == [daemon], "its clients would die with it"
    leave(first)
    leave(second)
    assert lives(daemon), "nobody was there to end it"
    assert said(node.worker()).startswith(str(Sharing(True)))
    ended(daemon)
    assert len(node.daemons) == 2


def test_a_keeper_whose_worker_dies_while_it_starts_serves_the_next_one(node: Node) -> None:
    (node.control / "mood").write_text("slow")
    first = node.worker()
    until(lambda: bool(node.daemons))
    first.kill()
    second, asked = node.worker(), node.control / "asked"
    until(lambda: f"{second.pid} pipe\n" in asked.read_text())
    (node.control / "mood").unlink()
    assert said(second).startswith(str(Sharing(True)))
    assert len(node.daemons) == 1


@pytest.mark.parametrize("note", ["", "4711", "soon later", "4711 0 0"])
def test_a_note_of_a_daemon_that_makes_no_sense_hinders_nobody(node: Node, note: str) -> None:
    node.folder.mkdir(mode=0o700)
    (node.folder / "daemon").write_text(note)
    assert said(node.worker()).startswith(str(Sharing(True)))


def test_a_daemon_that_cannot_be_asked_to_quit_is_ended_by_its_pid(node: Node) -> None:
    (node.control / "mood").write_text("deaf")
    worker = node.worker()
    said(worker)
    worker.kill()
    ended(*node.daemons)
    assert len(node.daemons) == 1


def test_a_folder_that_the_user_named_is_left_alone(node: Node, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    told = said(node.worker(**{PIPES: str(own)}))
    assert told == f"{Sharing(False, f'no daemon answers in {str(own)!r}, which {PIPES} names')} {own}"
    environment = {**os.environ, PIPES: str(own)}
    with subprocess.Popen((node.control / CONTROL, "-f"), env=environment) as daemon:
        while not (own / f"{CONTROL}.pid").exists():
            assert daemon.poll() is None
        worker = node.worker(**{PIPES: str(own)})
        assert said(worker) == f"{Sharing(True)} {own}"
        leave(worker)
        assert node.daemons == [daemon.pid], "none was started"
        assert daemon.poll() is None, "nor is another's ended"
        daemon.terminate()
    assert not node.folder.exists()


def test_a_machine_without_the_program_has_no_mps(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path)}
    assert mps.join(environment, tmp_path, WORKS) == Sharing(False, f"{CONTROL} is not on PATH")
    assert (environment, [*tmp_path.iterdir()]) == ({"PATH": str(tmp_path)}, [])


def test_a_daemon_that_does_not_start_is_tried_once_by_all_who_are_there_together(node: Node) -> None:
    (node.control / "mood").write_text("broken")
    why = f"{CONTROL} ended with exit status 1: no permission to do so"
    workers = [node.worker() for _ in range(2)]
    assert [said(worker) for worker in workers] == [f"{Sharing(False, why)} None"] * 2
    assert len(node.daemons) == 1
    for worker in workers:
        leave(worker)
    (node.control / "mood").unlink()
    assert said(node.worker()).startswith(str(Sharing(True)))


def test_a_daemon_through_which_cuda_does_not_begin_is_ended_and_not_used(node: Node) -> None:
    worker = node.worker("import sys; sys.exit('CUDA says error 805')")
    why = f"CUDA does not begin through {CONTROL}: CUDA says error 805"
    assert said(worker) == f"{Sharing(False, why)} None"
    ended(*node.daemons)
    assert len(node.daemons) == 1


def test_who_may_not_use_the_same_gpus_has_no_daemon_in_common(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in jobs of a scheduler: what is GPU 0 to one of them is another GPU to the next."""
    found = []
    for job, gpus in (("first", ("0", "10", "2")), ("next", ("1",)), ("third", ("1", "-missing"))):
        for name in (*gpus, "ctl", "-caps"):
            (tmp_path / job).mkdir(exist_ok=True)
            (tmp_path / job / f"nvidia{name}").touch()
        (tmp_path / job / "nvidia7").mkdir()  # as what a scheduler keeps from it, it cannot be opened
        monkeypatch.setattr(mps, "DEVICES", tmp_path / job)
        found.append(mps._folder(tmp_path).name)
    own = f"evosearch-mps-{os.getuid()}"
    assert found == [f"{own}-0-2-10", f"{own}-1", f"{own}-1"]


def test_a_folder_that_others_may_enter_is_not_used(node: Node) -> None:
    node.folder.mkdir(mode=0o755)
    node.folder.chmod(0o755)
    told = said(node.worker())
    assert "it must be a folder of your own that is closed to others" in told
    assert str(node.folder) in told
    assert not node.daemons


@pytest.mark.parametrize(("shares", "wanted"), [(False, True), (True, False)])
def test_who_has_a_gpu_alone_or_may_not_use_mps_asks_for_nothing(
    shares: bool, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mps, "join", lambda *_: pytest.fail("it asked"))
    upkeep = Upkeep(mps=wanted)
    _, ready = prepare(FormulaEvaluator(), tiny_data(), "cpu", upkeep, shares=shares)
    assert (ready.mps, ready.turns) == (False, "")


def test_the_last_process_that_a_slot_tries_begins_without_and_says_so() -> None:
    assert [Upkeep(mps=True).at(attempt).mps for attempt in (1, 2, 3)] == [True, True, False]
    for wanted, shares, told in ((True, True, True), (True, False, False), (False, True, False)):
        _, ready = prepare(FormulaEvaluator(), tiny_data(), "cpu", Upkeep(mps=wanted).at(3), shares=shares)
        assert not ready.mps
        assert ready.turns.startswith("2 processes that began with it") is told


def test_the_places_of_the_daemon_are_told_to_cuda(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mps, "HELD", [])
    environment = {**os.environ, "PATH": f"{node.control}{os.pathsep}{os.environ['PATH']}"}
    before = dict(environment)
    assert mps.join(environment, node.base, WORKS) == Sharing(True)
    added = {PIPES: str(node.folder / "pipe"), LOGS: str(node.folder / "log")}
    assert environment == {**before, **added}
    for descriptor in mps.HELD:
        os.close(descriptor)
