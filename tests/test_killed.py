"""The promise that matters most: a killed search goes on, and ends as if nothing had happened.

These tests start the real command as a process of its own, train real networks, and kill it.
"""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest
from safetensors.numpy import load_file

CONFIG = """
seed: 3
data: {name: digits}
space: {convolutions: [1, 3], channels: [4, 12], poolings: [0, 2], dense: [1, 1], units: [8, 24]}
strategy: {population: 8, generations: 6, elites: 2, immigrants: 2}
training: {epochs: 8, batch_size: 64, learning_rate: 3e-3}
workers: {count: 2}
"""
EVALUATIONS = 8 + 5 * 6


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(CONFIG)
    return path


class Command:
    """`evosearch ...` in a home; its standard error is read as it comes."""

    begun: ClassVar[list["Command"]] = []

    def __init__(self, home: Path, *arguments: str, program: Sequence[str] = ("-m", "evosearch")) -> None:
        env = {**os.environ, "EVOSEARCH_HOME": str(home), "RAY_ADDRESS": ""}
        del env["RAY_ADDRESS"]
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            env=env,
            cwd=home.parent,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.lines: list[str] = []
        self._new_line = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.begun.append(self)

    def _read(self) -> None:
        for line in self.process.stderr:
            with self._new_line:
                self.lines.append(line)
                self._new_line.notify_all()

    def wait_for_evaluations(self, count: int) -> None:
        """Until so many evaluations have been reported, or the process has ended."""
        with self._new_line:
            self._new_line.wait_for(
                lambda: (
                    sum(bool(re.match(r"(\S+ )?#\d", line[9:])) for line in self.lines) >= count
                    or self.process.poll() is not None
                ),
                timeout=60,
            )

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.wait()

    def wait(self) -> int:
        status = self.process.wait(timeout=90)
        self._reader.join(10)
        return status

    def close(self) -> None:
        self.process.kill()
        self.wait()
        self.process.stderr.close()
        self.process.stdout.close()

    def output(self) -> str:
        text = self.process.stdout.read()
        self.wait()
        return text


@pytest.fixture(autouse=True)
def nothing_is_left_running():
    yield
    while Command.begun:
        Command.begun.pop().close()


def run(home: Path, *arguments: str) -> str:
    command = Command(home, *arguments)
    text = command.output()
    assert command.process.returncode == 0, "".join(command.lines)
    return text


def outcome(home: Path) -> tuple[object, ...]:
    """What must not depend on what happened in between: every candidate and the best, bit for bit."""
    rows = json.loads(run(home, "results", "tiny", "--format", "json"))
    kept = (
        "number",
        "generation",
        "origin",
        "parents",
        "operators",
        "chromosome",
        "status",
        "fitness",
        "cached",
    )
    status = json.loads(run(home, "status", "tiny", "--json"))
    assert status["state"] == "done"
    return [{key: row[key] for key in kept} for row in rows], status["best"]


@pytest.mark.slow
def test_a_search_killed_at_eight_random_instants_equals_the_undisturbed_one(tmp_path, config):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    run(undisturbed, "run", str(config), "--executor", "local")
    chance = random.Random(int(os.environ.get("KILL_SEED", "0")))
    # Each driver gets a few evaluations done, or none at all, then up to 0.4 s into whatever comes next.
    deaths = [chance.randint(1, 2) for _ in range(6)] + [0, 0]
    chance.shuffle(deaths)
    for evaluations in deaths:
        command = Command(killed, "run", str(config), "--executor", "local")
        command.wait_for_evaluations(evaluations)
        time.sleep(chance.uniform(0, 0.4 if evaluations else 1.5))  # the instant itself is what is random
        assert command.process.poll() is None, "it ended before it could be killed: give the test more work"
        command.end(signal.SIGKILL)
    run(killed, "run", str(config), "--executor", "local")
    rows, best = outcome(undisturbed)
    assert len(rows) == EVALUATIONS
    assert outcome(killed) == (rows, best)


@pytest.mark.ray
def test_ray_workers_end_with_the_same_bits_as_processes_and_a_change_between_them_is_harmless(
    tmp_path, config
):
    local, ray = tmp_path / "local", tmp_path / "ray"
    run(local, "run", str(config), "--executor", "local")
    command = Command(ray, "run", str(config))
    command.wait_for_evaluations(9)
    command.end(signal.SIGKILL)
    run(ray, "resume", "tiny", "--executor", "local")
    assert outcome(ray) == outcome(local)
    rows = json.loads(run(ray, "results", "tiny", "--format", "json"))
    assert max(row["attempts"] for row in rows) == 2  # what was in flight when the Ray driver died


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_within_three_seconds_with_exit_75_and_nothing_is_left_running(
    tmp_path, config, number
):
    command = Command(tmp_path / "home", "run", str(config), "--executor", "local")
    command.wait_for_evaluations(2)
    workers = psutil.Process(command.process.pid).children(recursive=True)
    asked = time.monotonic()
    command.process.send_signal(number)
    assert command.wait() == 75
    assert time.monotonic() - asked < 3  # a promise to users, not a speed
    assert "evosearch resume tiny" in command.lines[-1]
    assert "Traceback" not in "".join(command.lines)
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive
    status = json.loads(run(tmp_path / "home", "status", "tiny", "--json"))
    assert (status["state"], status["evaluations"]["running"]) == ("interrupted", 0)


@pytest.mark.ray
@pytest.mark.parametrize("part", ["gcs_server", "raylet"])
def test_where_a_part_of_the_private_cluster_dies_one_line_says_so_and_the_same_command_goes_on(
    tmp_path, config, part
):
    home = tmp_path / "runs"
    command = Command(home, "run", str(config))
    command.wait_for_evaluations(1)
    cluster = psutil.Process(command.process.pid).children(recursive=True)
    next(process for process in cluster if process.name() == part).kill()
    assert command.wait() == 3
    # all but the journal's line and the progress, whose lines begin with the time of day
    after = [line for line in command.lines if not re.match(r"journal |\d\d:\d\d:\d\d ", line)]
    assert len(after) == 1, after
    assert after[0].startswith("evosearch: the private Ray cluster died: its ")
    assert f"({part}) was killed by SIGKILL" in after[0]
    _, alive = psutil.wait_procs(cluster, timeout=20)
    assert not alive
    run(home, "run", str(config), "--executor", "local")
    assert len(outcome(home)[0]) == EVALUATIONS


@pytest.mark.ray
def test_a_stopped_ray_driver_takes_its_private_cluster_with_it(tmp_path, config):
    command = Command(tmp_path / "home", "run", str(config))
    command.wait_for_evaluations(2)
    cluster = psutil.Process(command.process.pid).children(recursive=True)
    assert any("raylet" in process.name() for process in cluster)
    command.process.send_signal(signal.SIGTERM)
    assert command.wait() == 75
    _, alive = psutil.wait_procs(cluster, timeout=10)
    assert not alive


@pytest.mark.ray
@pytest.mark.parametrize("seconds", [0.3, 1.5, 3.0, 5.0])
def test_a_signal_at_any_instant_of_the_start_ends_with_75_and_one_line(tmp_path, config, seconds):
    command = Command(tmp_path / "home", "run", str(config))
    time.sleep(
        seconds
    )  # into the imports, into the start of Ray, into that of its workers, into the first training
    command.process.send_signal(signal.SIGTERM)
    assert command.wait() == 75
    complaints = [line for line in command.lines if line.startswith("evosearch: ")]
    assert len(complaints) == 1, command.lines
    assert "stopped" in complaints[0]
    assert "Traceback" not in "".join(command.lines)


def test_a_second_driver_is_refused_with_exit_4_and_a_killed_one_reads_as_interrupted(tmp_path, config):
    home = tmp_path / "home"
    first = Command(home, "run", str(config), "--executor", "local")
    first.wait_for_evaluations(1)
    second = Command(home, "resume", "tiny")
    assert second.wait() == 4
    assert f"process {first.process.pid}" in second.lines[-1]
    first.end(signal.SIGKILL)
    status = json.loads(run(home, "status", "tiny", "--json"))
    assert (status["state"], status["evaluations"]["running"]) == ("interrupted", 0)


def test_a_home_that_was_moved_goes_on(tmp_path, config):
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    first = Command(home, "run", str(config), "--executor", "local")
    first.wait_for_evaluations(3)
    first.end(signal.SIGKILL)
    home.rename(elsewhere)
    run(elsewhere, "resume", "tiny")
    assert len(outcome(elsewhere)[0]) == EVALUATIONS
    files = [path for path in elsewhere.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if str(home).encode() in path.read_bytes()]


# Retrainings

DIES_BEFORE_READING = """
import os, signal
from workers.process_pool.pool import ProcessPool
from evosearch.evaluation import PredictionTask
from evosearch.__main__ import main

submit = ProcessPool.submit

def submit_unless_reading(pool, worker, ticket, task):
    if isinstance(task, PredictionTask):
        os.kill(os.getpid(), signal.SIGKILL)
    submit(pool, worker, ticket, task)

ProcessPool.submit = submit_unless_reading
main()
"""


def retrained(home: Path) -> list[dict[str, Any]]:
    """The readings of the retraining, with the hash of the weights that each is of."""
    documents = json.loads(run(home, "retrain", "tiny", "--epochs", "60", "--seeds", "1..2", "--json"))
    for one in documents:
        tensors = sorted(load_file(one.pop("weights")).items())
        one["hash"] = hashlib.sha256(b"".join(tensor.tobytes() for _, tensor in tensors)).hexdigest()
        del one["seconds"]
    return documents


def wait_for(found: Callable[[], bool], command: Command) -> None:
    """Until something lies on the disk; nothing tells of it."""
    late = time.monotonic() + 90
    while not found():
        assert command.process.poll() is None, "".join(command.lines)
        assert time.monotonic() < late
        time.sleep(0.01)


@pytest.mark.slow
def test_a_retraining_killed_while_it_trains_and_before_it_reads_equals_the_undisturbed_one(tmp_path, config):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    few = ("--set", "strategy={population: 4, generations: 1, elites: 1, immigrants: 1}")
    run(undisturbed, "run", str(config), "--executor", "local", *few, "--set", "workers.count=1")
    shutil.copytree(undisturbed, killed)
    expected = retrained(undisturbed)
    retrain = ("retrain", "tiny", "--epochs", "60", "--seeds", "1..2")
    checkpoints = killed / "tiny" / "final-60" / "checkpoints"
    command = Command(killed, *retrain)
    wait_for(lambda: any(checkpoints.glob("*/epoch-*.safetensors")), command)
    command.end(signal.SIGKILL)
    command = Command(killed, *retrain, program=("-c", DIES_BEFORE_READING))
    assert command.wait() == -signal.SIGKILL
    command = Command(killed, "resume", "tiny/final-60", program=("-c", DIES_BEFORE_READING))
    assert command.wait() == -signal.SIGKILL, (
        "it dies before the same reading again, which it does not train for again"
    )
    status = json.loads(run(killed, "status", "tiny/final-60", "--json"))
    assert (status["state"], status["evaluations"]["done"]) == ("interrupted", 1)
    assert retrained(killed) == expected
    attempts = [
        row["attempts"] for row in json.loads(run(killed, "results", "tiny/final-60", "--format", "json"))
    ]
    assert attempts == [2, 1]
    assert not checkpoints.exists()
