"""A whole driver in virtual time: every promise is kept, whatever happens."""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from evosearch.runtime import WorkerPool
from evosearch.storage import (
    Extended,
    Failed,
    Interrupted,
    Recalled,
    Reopened,
    Stopped,
    TestRead,
    TestReadingFailed,
    open_journal,
)
from evosearch.testing.simulation import Doubles, History, Scenario, complaints
from evosearch.testing.simulation import __main__ as command
from tests.testing.test_planted_faults import Untold

SEEDS = 2000
LOT = 200
"""So many in one test, so that several processes share them."""


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, LOT))
def test_two_thousand_seeds_keep_every_promise(first):
    failed = {seed: found for seed in range(first, first + LOT) if (found := complaints(seed))}
    assert not failed, "\n".join(f"{found[0]}\n{command.replay_of(seed)}" for seed, found in failed.items())


def history_of(seed, doubles=None):
    history = History(Scenario.of(seed), doubles or Doubles())
    history.run()
    return {name: list(history.recorded(name)) for name in history.names}


def test_what_may_go_wrong_does():
    """Each kind of trouble is met, and most seeds meet several."""
    lines: list[str] = []
    met = Counter()
    for seed in range(120):
        for one in (
            one for recorded in history_of(seed, Doubles(trace=lines.append)).values() for one in recorded
        ):
            met[type(one.event).__name__] += 1
            if isinstance(one.event, Failed):
                met[f"{one.event.failure.kind}{' with its node' * one.event.failure.node_lost}"] += 1
    said = "\n".join(lines)
    for trouble in (
        "dies",
        "taken over by a newer driver",
        "stopped by SIGTERM",
        "the server went away before",
        "lost its worker 5 times",
        "made no progress",
        "more than workers.hard_seconds",
        "gets no more work",
        "which shared its GPU: killed by SIGSEGV",
    ):
        assert trouble in said
    assert met["worker_lost with its node"] > met["worker_lost"] > 10
    for kind in ("crashed", "error", "out_of_memory", "timed_out", "diverged"):
        assert met[kind] > 10
    for event in (Extended, Interrupted, Stopped, Reopened, Recalled, TestRead, TestReadingFailed):
        assert met[event.__name__] > 5
    assert met["Completed"] > met["SearchCreated"] + met["Extended"] / 2, (
        "some are driven again when they are done"
    )


@pytest.mark.parametrize("seed", [3, 12, 15])
def test_a_seed_leaves_the_same_events_in_a_real_journal(seed, tmp_path):
    """So the one in memory keeps the promises on which drivers rest."""
    with open_journal(tmp_path / "journal.db", must_exist=False) as journal:
        real = history_of(seed, Doubles(journal=lambda: journal))
    in_memory = history_of(seed)
    assert real.keys() == in_memory.keys()
    for name, recorded in real.items():
        assert [replace(one, at=0.0) for one in recorded] == [replace(one, at=0.0) for one in in_memory[name]]


def test_a_seed_is_the_same_in_every_process():
    def run(hashes: str) -> str:
        arguments = (sys.executable, "-m", command.MODULE, "--seed", "5", "--trace")
        environment = {**os.environ, "PYTHONHASHSEED": hashes}
        return subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True).stdout

    assert run("1") == run("2")
    assert "every promise was kept" in run("1")


def test_a_seed_that_fails_prints_the_command_that_replays_it(monkeypatch, capsys):
    monkeypatch.setattr(command, "complaints", lambda seed: ("it broke", "badly") if seed == 7 else ())
    monkeypatch.setattr(command, "ProcessPoolExecutor", InThisProcess)
    assert command.main(["--first", "6", "--seeds", "3"]) == 1
    failed, replayed, total = capsys.readouterr().out.splitlines()
    assert failed == "it broke"
    assert replayed == "    python -m evosearch.testing.simulation --seed 7 --trace"
    assert total.startswith("3 seeds, 1 failed, ")
    assert command.main(["--first", "8", "--seeds", "3"]) == 0


class InThisProcess:
    def __init__(self, _: int) -> None:
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        pass

    map = staticmethod(map)


def test_one_seed_says_everything_that_is_wrong_with_it(monkeypatch, capsys):
    monkeypatch.setattr(command, "complaints", lambda seed, doubles: ("it broke", "badly"))
    assert command.main(["--seed", "7"]) == 1
    assert capsys.readouterr().out == "it broke\nbadly\n"


class Deaf(Untold):
    """A pool that tells nothing."""

    def poll(self, timeout):
        self._inner.poll(timeout)
        return []


def test_a_driver_that_waits_for_ever_is_found(monkeypatch):
    (found,) = complaints(0, Doubles(pool=Deaf))
    assert "waits for something that never comes" in found


def test_an_error_of_the_code_is_told_with_its_place():
    def broken(pool: WorkerPool) -> WorkerPool:
        raise ZeroDivisionError("so much for that")

    (found,) = complaints(0, Doubles(pool=broken))
    assert found.startswith("ZeroDivisionError: so much for that (")
    assert "test_simulation.py:" in found
