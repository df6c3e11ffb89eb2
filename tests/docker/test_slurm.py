"""The SLURM script, with two hosts made of namespaces, and with doubles of `srun` and `scontrol`."""

import json
import os
import shutil
import signal
import stat
import subprocess
from contextlib import contextmanager

import psutil
import pytest

from tests.docker.shipped import SLURM, check
from tests.ray_head import BIN

CONFIG = """
seed: 3
data: {name: digits}
space: {convolutions: [1, 2], channels: [4, 8], poolings: [0, 1], dense: [1, 1], units: [8, 16]}
strategy: {population: 4, generations: 10, elites: 1, immigrants: 1}
training: {epochs: 6, batch_size: 64, learning_rate: 3e-3}
workers: {count: 2}
"""
EVALUATIONS = 4 + 9 * 3
JOB = "4711"

# The script and what it starts on its own host see each other's processes, as they do on a node. The second host's are
# seen from the first too, as those of a nested namespace are, so that `ray stop` on the first ends them as well.
SRUN = """#!/usr/bin/env bash
while [[ $1 == --* ]]; do shift; done
mkdir -p "$RAY_TMPDIR"
own=(bash -c 'mount -t tmpfs tmpfs "$RAY_TMPDIR" && exec "$@"' host)
nsenter --net="$HOSTS/1" unshare --mount "${own[@]}" "$@" &
first=$!
nsenter --net="$HOSTS/2" unshare --mount --pid --fork --kill-child --mount-proc "${own[@]}" "$@" &
status=0
wait "$first" || status=$?
wait "$!" || status=$?
exit "$status"
"""

SCONTROL = """#!/usr/bin/env bash
echo "$@" >>"$HOSTS/scontrol"
"""

NETWORK = """
set -e
touch "$HOSTS/1" "$HOSTS/2"
mount --bind /proc/self/ns/net "$HOSTS/1"
unshare --net="$HOSTS/2" true
ip link add one type veth peer name two
ip link set two netns "$HOSTS/2"
ip link set lo up
ip addr add 10.47.11.1/24 dev one
ip link set one up
second() { nsenter --net="$HOSTS/2" ip "$@"; }
second link set lo up
second addr add 10.47.11.2/24 dev two
second link set two up
second route add default via 10.47.11.1
"""

IN_NAMESPACES = (
    "unshare",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "bash",
    "-c",
)


def test_the_shell_and_its_linter_find_nothing():
    subprocess.run(["bash", "-n", SLURM], check=True)
    check("shellcheck", SLURM)


def test_the_scheduler_is_told_to_queue_it_again_and_to_warn_the_script_alone():
    lines = SLURM.read_text().splitlines()
    options = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")]
    assert {
        "--requeue",
        "--signal=B:USR1@120",
        "--gpus-per-node=2",
        "--ntasks-per-node=1",
        "--exclusive",
    } <= set(options)
    first_command = next(n for n, line in enumerate(lines) if line and not line.startswith("#"))
    assert all(n < first_command for n, line in enumerate(lines) if line.startswith("#SBATCH"))


def test_without_a_configuration_it_says_how_it_is_used():
    ended = subprocess.run(["bash", SLURM], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("usage: sbatch ")


class Allocation:
    """What SLURM gives a job: two hosts, a shared folder, and its own commands."""

    def __init__(self, folder):
        self.folder, self.hosts = folder, folder / "hosts"
        commands = folder / "commands"
        for made in (self.hosts, commands):
            made.mkdir()
        for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
            (commands / name).write_text(text)
            (commands / name).chmod(0o755)
        (folder / "tiny.yaml").write_text(CONFIG)
        path = os.pathsep.join(map(str, (commands, BIN, os.environ["PATH"])))
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "PYTHONPATH") if name in os.environ}
        self.environment = kept | {
            "PATH": path,
            "HOSTS": str(self.hosts),
            "SLURM_JOB_ID": JOB,
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_SUBMIT_DIR": str(folder),
        }

    @contextmanager
    def batch(self, *arguments):
        """The script as a batch job; what it prints is read as it comes."""
        begun = subprocess.Popen(
            [*IN_NAMESPACES, f'{NETWORK} exec bash "$@"', "batch", SLURM, *arguments],
            env=self.environment,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            yield begun
        finally:
            begun.kill()  # and the namespaces with it
            begun.wait()
            begun.stdout.close()

    @property
    def requeued(self):
        told = self.hosts / "scontrol"
        return told.read_text().splitlines() if told.exists() else []

    def status(self):
        arguments = ("status", "tiny", "--json", "--storage", self.folder / "runs" / "journal.db")
        ended = subprocess.run([BIN / "evosearch", *arguments], check=True, capture_output=True, text=True)
        return json.loads(ended.stdout)


@pytest.fixture
def allocation(tmp_path):
    tried = subprocess.run(
        [*IN_NAMESPACES, "ip link add one type veth peer name two"], check=False, capture_output=True
    )
    if tried.returncode != 0:
        pytest.skip(f"no namespaces here: {tried.stderr.decode().strip()}")
    yield Allocation(tmp_path)
    shutil.rmtree(f"/tmp/evosearch-{JOB}", ignore_errors=True)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_search_on_two_hosts_is_stopped_when_its_time_is_up_queued_again_and_goes_on(allocation):
    with allocation.batch("tiny.yaml") as first:
        lines = read_until_evaluated(first, 3)
        (token,) = allocation.folder.glob(f".evosearch-{JOB}-*/token")
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        secret = token.read_text()
        assert len(secret) == 64
        (script,) = psutil.Process(first.pid).children()
        script.send_signal(signal.SIGUSR1)
        lines += first.stdout.readlines()
        assert first.wait(timeout=60) == 75, "".join(lines)
    assert allocation.requeued == [f"requeue {JOB}"]
    assert "evosearch resume tiny" in "".join(lines)
    assert secret not in "".join(lines)
    assert not token.exists()
    found = allocation.status()
    assert (found["state"], found["evaluations"]["running"]) == ("interrupted", 0)

    with allocation.batch("tiny.yaml") as second:
        lines = second.stdout.readlines()
        assert second.wait(timeout=60) == 0, "".join(lines)
    assert allocation.requeued == [f"requeue {JOB}"]  # once
    text = "".join(lines)
    assert (
        f"going on at generation {found['generation']}, {found['evaluations']['done']} evaluations done"
        in text
    )
    found = allocation.status()
    assert (found["state"], found["evaluations"]["done"]) == ("done", EVALUATIONS)


def read_until_evaluated(process, count):
    lines = []
    for line in process.stdout:
        lines.append(line)
        count -= line[9:].startswith("#")  # after the time of day
        if count == 0:
            return lines
    raise AssertionError("".join(lines))


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_search_that_is_refused_is_not_queued_again(allocation):
    with allocation.batch("tiny.yaml", "--set", "seed=-1") as refused:
        text = refused.stdout.read()
        assert refused.wait(timeout=60) == 2, text
    assert "seed is -1" in text
    assert allocation.requeued == []
