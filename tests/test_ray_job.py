"""The cluster's way in: a search as a Ray job, submitted, stopped, edited and submitted again."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

from tests.ray_head import start_cluster

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(300)]

CONFIG = """
seed: 3
data: {name: digits}
space: {convolutions: [1, 2], channels: [4, 8], poolings: [0, 1], dense: [1, 1], units: [8, 16]}
strategy: {population: 4, generations: 12, elites: 1, immigrants: 1}
training: {epochs: 6, batch_size: 64, learning_rate: 3e-3}
workers: {count: 2}
"""
EVALUATIONS = 4 + 11 * 3


@pytest.fixture(scope="module")
def cluster():
    with start_cluster("--num-cpus=2") as made:
        yield made


@pytest.fixture
def folder(tmp_path):
    """What a user submits: a folder with a configuration and a file that changes."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tiny.yaml").write_text(CONFIG)
    (tmp_path / "notes.txt").write_text("first\n")
    return tmp_path


@pytest.fixture(autouse=True)
def no_searches(cluster):
    yield
    for file in sorted((cluster.home / "evosearch-runs").rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()


def status_of(cluster, folder):
    text = cluster.run("evosearch", "status", "tiny", "--json", cwd=folder, EVOSEARCH_HOME=home(cluster))
    return json.loads(text.stdout)


def results_of(cluster, folder):
    arguments = ("results", "tiny", "--format", "json")
    text = cluster.run("evosearch", *arguments, cwd=folder, EVOSEARCH_HOME=home(cluster))
    return json.loads(text.stdout)


def home(cluster):
    return str(cluster.home / "evosearch-runs")


def read_until_evaluated(process, count):
    """The lines up to that of the evaluation so many have ended with."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        count -= line[9:].startswith("#")  # after the time of day
        if count == 0:
            return lines
    raise AssertionError("".join(lines))


def job_in(lines):
    """The id that Ray gave a job, from what was printed."""
    return next(word.strip("'") for line in lines for word in line.split() if "raysubmit_" in word)


RAY_SUBMIT = ("ray", "job", "submit", "--working-dir", ".", "--")
RUN = ("evosearch", "run", "configs/tiny.yaml")
SUBMIT = ("evosearch", "submit", "configs/tiny.yaml")
LONG = ("--set", "strategy.generations=60")


def test_a_job_that_was_stopped_is_resumed_by_submitting_an_edited_folder_again(cluster, folder):
    with cluster.running(*RAY_SUBMIT, *RUN, cwd=folder) as first:
        lines = read_until_evaluated(first, 5)
        cluster.run("ray", "job", "stop", job_in(lines), cwd=folder)
        text = "".join(lines) + first.stdout.read()
    assert "was stopped" in text
    assert "evosearch resume tiny" in text  # it was not killed
    assert status_of(cluster, folder)["evaluations"]["running"] == 0
    (folder / "notes.txt").write_text("second\n")
    submit_again(cluster, folder)


def test_a_job_whose_driver_was_killed_is_resumed_by_submitting_it_again(cluster, folder):
    short = ("--set", "strategy.generations=6")
    with cluster.running(*RAY_SUBMIT, *RUN, *short, cwd=folder) as first:
        lines = read_until_evaluated(first, 1)
        driver_of(cluster, *RUN, *short).kill()
        text = "".join(lines) + first.stdout.read()
        assert first.wait() != 0
    assert "was stopped" not in text
    submit_again(cluster, folder, *short, evaluations=4 + 5 * 3)


def driver_of(cluster, *command):
    """The process of the job that was submitted with this command."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            here = process.environ().get("HOME") == str(cluster.home)
            found += [process] if here and process.cmdline()[2:] == list(command[1:]) else []
    (driver,) = found
    return driver


def submit_again(cluster, folder, *options, evaluations=EVALUATIONS):
    """The same command again trains what the first one left, and nothing twice."""
    found = status_of(cluster, folder)
    assert found["state"] == "interrupted"
    done = found["evaluations"]["done"]
    assert 0 < done < evaluations

    second = cluster.run(*RAY_SUBMIT, *RUN, *options, cwd=folder)
    lines = (second.stdout + second.stderr).splitlines()
    assert f"journal {home(cluster)}/journal.db" in lines
    (going_on,) = (line for line in lines if "going on at generation" in line)
    assert f"{done} evaluations done" in going_on
    rows = results_of(cluster, folder)
    assert (len(rows), status_of(cluster, folder)["state"]) == (evaluations, "done")
    told = [line[9:] for line in lines if line[9:].startswith("#")]
    assert len(told) == evaluations - done


def test_submit_with_wait_shows_the_log_and_ends_as_the_driver_does(cluster, folder):
    ended = submit(cluster, folder, "--set", "strategy.generations=2", "--wait")
    assert ended.returncode == 0, ended.stderr
    assert "generation 0 is done" in ended.stderr
    assert "tiny: done, 2 generations" in ended.stderr
    assert job_in(ended.stdout.splitlines())
    refused = submit(cluster, folder, "--set", "seed=4", "--wait")
    assert refused.returncode == 2
    assert "seed: 4 here, 3 in the journal" in refused.stderr.splitlines()[-1]
    assert cluster.token not in "".join((ended.stdout, ended.stderr, refused.stdout, refused.stderr))


def submit(cluster, folder, *options, **more):
    return cluster.run(*SUBMIT, *options, cwd=folder, check=False, **more)


KEPT_HERE = (".env", ".ssh/id_rsa", "keys/server.pem", "pictures/cat.png", "old/journal.db", ".git/config")
OUR_NAMES = ("workers", "torch", "evosearch", "numpy", "random", "ray", "yaml", "tempfile")


def test_a_cluster_receives_what_the_dry_run_lists_and_takes_none_of_it_for_a_package(cluster, folder):
    for name in (*KEPT_HERE, "deep/er/notes.txt", *(f"{name}.py" for name in OUR_NAMES)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("raise SystemExit('the folder was imported')\n")
    os.mkfifo(folder / "pipe")
    dry = cluster.run(*SUBMIT, "--dry-run", cwd=folder)
    listed = {line.split()[-1] for line in dry.stdout.splitlines()[:-1] if not line.startswith("left out")}
    before = received(cluster)
    ended = submit(cluster, folder, "--set", "strategy.generations=1", "--wait")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "tiny: done, 1 generation" in ended.stderr
    (package,) = received(cluster) - before
    files = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    assert files == {f"submitted/{name}" for name in listed}
    assert listed == {
        "configs/tiny.yaml",
        "notes.txt",
        "deep/er/notes.txt",
        *(f"{name}.py" for name in OUR_NAMES),
    }


def received(cluster):
    """The folders of files that the cluster has unpacked."""
    place = cluster.home.parent / "ray" / "session_latest" / "runtime_resources" / "working_dir_files"
    return {path for path in place.iterdir() if path.is_dir()}


def test_a_folder_that_ray_itself_puts_before_our_packages_is_refused_with_the_files_name(cluster, folder):
    (folder / "torch.py").touch()
    ended = cluster.run(*RAY_SUBMIT, *RUN, cwd=folder, check=False)
    told = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert "/torch.py would take the place of the package 'torch' on every worker" in told
    assert "exit code 2" in told
    assert "Traceback" not in told


def test_without_wait_it_returns_at_once_and_what_it_prints_follows_and_stops_the_job(cluster, folder):
    ended = submit(cluster, folder, *LONG)
    assert ended.returncode == 0
    assert ended.stderr.startswith(f"sent from {folder}: 2 files, ")
    _, follow, end, *_ = ended.stdout.splitlines()
    follow, end = (line.partition("ray ")[2].partition("    ")[0].split() for line in (follow, end))
    with cluster.running("ray", *follow, cwd=folder) as following:
        read_until_evaluated(following, 1)
        cluster.run("ray", *end, cwd=folder)
        assert "was stopped" in following.stdout.read()


def test_ctrl_c_leaves_the_job_running_and_a_stopped_job_ends_the_waiting_with_75(cluster, folder):
    with cluster.running(*SUBMIT, *LONG, "--wait", cwd=folder) as waiting:
        lines = read_until_evaluated(waiting, 1)
        waiting.send_signal(signal.SIGINT)
        rest = waiting.stdout.read()
        assert waiting.wait(timeout=10) == 75
    job = job_in(lines)
    assert f"job {job} runs on" in rest.splitlines()[-1]
    assert "Traceback" not in rest
    assert status_of(cluster, folder)["state"] == "running"

    second = submit(cluster, folder, *LONG, "--wait")
    assert second.returncode == 4, second.stderr  # the first one holds the search
    cluster.run("ray", "job", "stop", job, cwd=folder)
    with cluster.running(*SUBMIT, *LONG, "--wait", cwd=folder) as third:
        lines = read_until_evaluated(third, 1)
        cluster.run("ray", "job", "stop", job_in(lines), cwd=folder)
        rest = third.stdout.read()
        assert third.wait(timeout=10) == 75
    assert "was stopped" in rest.splitlines()[-1]


def test_the_commands_that_submit_prints_say_here_what_they_say_on_the_head_and_leave_nothing_there(
    cluster, folder
):
    earlier = jobs(cluster, folder)
    ended = submit(cluster, folder, "--set", "strategy.generations=2", "--wait")
    assert ended.returncode == 0, ended.stderr
    job, *lines = ended.stdout.splitlines()
    status, results, retrain = (line.partition("evosearch ")[2].split() for line in lines[2:])
    assert f"results tiny --address {cluster.url}  every chromosome" in ended.stderr
    before = set(cluster.home.rglob("*"))
    assert '"state": "done"' in both(cluster, folder, *status, "--json")
    assert both(cluster, folder, *results, "--format", "csv").count("\n") == 1 + 4 + 3
    assert both(cluster, folder, *results[:1], "nobody", *results[2:], status=2) == ""
    assert set(cluster.home.rglob("*")) == before

    first = evosearch(cluster, folder, *retrain, "--epochs", "2", "--json")
    assert first.returncode == 0, first.stderr
    assert "training candidate" in first.stderr
    assert 0 < json.loads(first.stdout)["accuracy"] <= 1
    assert both(cluster, folder, *retrain, "--epochs", "2", "--json") == first.stdout
    assert jobs(cluster, folder) - earlier == {job.split()[1]}


def evosearch(cluster, folder, *words, **more):
    return cluster.run("evosearch", *words, cwd=folder, check=False, **more)


CLOCK = re.compile(r"^\d\d:\d\d:\d\d ", re.MULTILINE)
"""What a line of progress begins with."""


def both(cluster, folder, *words, status=0):
    """What a command prints through the job server, which must be what it prints on the head itself."""
    there = evosearch(cluster, folder, *words)
    place = words.index("--address")
    on_head = evosearch(cluster, folder, *words[:place], *words[place + 2 :], EVOSEARCH_HOME=home(cluster))
    assert (there.returncode, there.stdout) == (on_head.returncode, on_head.stdout)
    assert there.returncode == status, there.stderr
    assert CLOCK.sub("", there.stderr) == CLOCK.sub("", on_head.stderr)
    return there.stdout


def jobs(cluster, folder):
    """The jobs that the cluster knows, but for what it remembers of a driver when its job is forgotten."""
    told = cluster.run("ray", "job", "list", cwd=folder).stdout
    return set(re.findall(r"'SUBMISSION'>, [^>]*submission_id='(\w+)'", told))


def test_ctrl_c_stops_a_retraining_on_the_head(cluster, folder):
    assert submit(cluster, folder, "--set", "strategy.generations=1", "--wait").returncode == 0
    before = jobs(cluster, folder)
    retrain = ("evosearch", "retrain", "tiny", "--epochs", "100000", "--address", cluster.url)
    with cluster.running(*retrain, cwd=folder) as retraining:
        while not status_of(cluster, folder)["retrainings"]:
            assert retraining.poll() is None, retraining.stdout.read()
        retraining.send_signal(signal.SIGINT)
        rest = retraining.stdout.read().splitlines()
        assert retraining.wait(timeout=30) == 75
    assert re.fullmatch(
        r"evosearch: job \w+ was stopped; the same command goes on where it stopped", rest[-1]
    )
    assert "Traceback" not in "".join(rest)
    assert jobs(cluster, folder) == before
    (stopped,) = status_of(cluster, folder)["retrainings"]
    assert stopped["state"] == "interrupted"


@pytest.mark.parametrize(
    "more",
    [
        {"RAY_AUTH_TOKEN": "f" * 64},
        {"RAY_AUTH_TOKEN_PATH": "/nowhere/token"},
        {"RAY_AUTH_MODE": "disabled"},
    ],
    ids=["wrong", "no file", "mode not set"],
)
def test_a_token_that_is_refused_ends_with_3_and_one_line_that_does_not_hold_it(cluster, folder, more):
    ended = submit(cluster, folder, **more)
    assert (ended.returncode, ended.stdout) == (3, "")
    (line,) = ended.stderr.splitlines()
    assert "RAY_AUTH_TOKEN_PATH" in line
    assert cluster.token not in line
    assert "f" * 64 not in line


def test_the_head_itself_may_be_named_instead_of_its_job_server(cluster, folder):
    program = "import sys; from workers.job_client import JobClient; print(JobClient(sys.argv[1]).address)"
    ended = subprocess.run(
        [sys.executable, "-c", program, cluster.address],
        env=cluster.environment,
        check=True,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert ended.stdout == f"{cluster.url}\n"
