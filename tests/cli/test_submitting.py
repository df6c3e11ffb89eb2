"""`submit` up to the cluster, which is a double here; tests/test_ray_job.py submits to a real one."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from evosearch.errors import InterruptedSearchError
from tests.finished_search import TINY
from workers import job_client


@dataclass
class Cluster:
    """Takes every job; `ended` is what its driver ends with."""

    ended: int = 0
    asked: list[str | None] = field(default_factory=list)
    jobs: list[list[str]] = field(default_factory=list)
    parcels: list[job_client.Parcel] = field(default_factory=list)
    address: str = "http://head:8265"

    def __call__(self, address):
        self.asked.append(address)
        return self

    def submit(self, command, parcel):
        self.jobs.append(list(command))
        self.parcels.append(parcel)
        return "raysubmit_1"

    def follow(self, job, write):
        if self.ended == 75:
            raise InterruptedSearchError(f"job {job} was stopped; the same command goes on where it stood")
        write(f"the log of {job}")
        return self.ended


@pytest.fixture
def cluster(monkeypatch):
    made = Cluster()
    monkeypatch.setattr(job_client, "JobClient", made)
    return made


def test_run_is_submitted_with_its_options_and_what_follows_and_stops_the_job_is_printed(command, cluster):
    options = (
        "--set",
        "seed=4",
        "--set",
        "training.epochs=2",
        "--name",
        "mine",
        "--storage",
        "postgresql://u@h/d",
    )
    ended = command("submit", "tiny.yaml", *options, "--address", "http://head:8265")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "job raysubmit_1 submitted",
        "Follow  ray job logs --address http://head:8265 --follow raysubmit_1",
        "Stop    ray job stop --address http://head:8265 raysubmit_1    (the same submit again goes on)",
    ]
    assert cluster.asked == ["http://head:8265"]
    assert cluster.jobs == [["python", "-m", "evosearch", "run", "tiny.yaml", *options]]


def test_a_group_and_a_takeover_are_submitted_too(command, cluster):
    assert command("submit", "tiny.yaml", "--seeds", "0..2", "--takeover").status == 0
    assert cluster.asked == [None]
    assert cluster.jobs[0][5:] == ["--seeds", "0..2", "--takeover"]


@pytest.mark.parametrize("status", [0, 2, 5])
def test_with_wait_the_log_goes_to_standard_error_and_the_drivers_status_is_ours(command, cluster, status):
    cluster.ended = status
    ended = command("submit", "tiny.yaml", "--wait")
    assert (ended.status, ended.err) == (status, "the log of raysubmit_1\n")


def test_a_job_that_was_stopped_ends_with_75_and_one_line(command, cluster):
    cluster.ended = 75
    ended = command("submit", "tiny.yaml", "--wait")
    assert ended.status == 75
    assert ended.err == "evosearch: job raysubmit_1 was stopped; the same command goes on where it stood\n"


def test_the_configuration_is_named_as_it_lies_in_the_folder_that_is_sent(command, cluster, tmp_path):
    (tmp_path / "my configs").mkdir()
    (tmp_path / "my configs" / "tiny.yaml").write_text(TINY)
    assert command("submit", tmp_path / "my configs" / "tiny.yaml").status == 0
    assert cluster.jobs[0][4] == "my configs/tiny.yaml"
    assert shlex.split(shlex.join(cluster.jobs[0])) == cluster.jobs[0]
    assert cluster.parcels[0].folder == tmp_path


def test_a_configuration_outside_that_folder_is_refused(refused, cluster, tmp_path, monkeypatch):
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    found = refused("submit", "../tiny.yaml")
    assert found == (
        f"../tiny.yaml lies outside {Path.cwd()}, the folder that is sent; submit from a folder that holds it"
    )
    assert cluster.asked == []


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        (TINY.replace("population", "popluation"), ()),
        (TINY, ("--set", "seed=-1")),
        (TINY, ("--name", "no/name/this")),
        (TINY, ("--seeds", "4..0")),
    ],
    ids=["configuration", "override", "name", "seeds"],
)
def test_bad_input_is_refused_in_the_words_of_run_before_the_cluster_is_asked(
    refused, cluster, text, arguments
):
    Path("tiny.yaml").write_text(text)
    assert refused("submit", "tiny.yaml", *arguments) == refused("run", "tiny.yaml", *arguments)
    assert cluster.asked == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--storage", "postgresql://me:secret@host/evosearch"),
        ("--set", "storage.journal=postgresql://me:secret@host/evosearch"),
    ],
)
def test_a_password_is_not_put_into_the_list_of_jobs(refused, cluster, arguments):
    found = refused("submit", "tiny.yaml", *arguments)
    assert "PGPASSWORD" in found
    assert "secret" not in found
    assert cluster.asked == []


def test_neither_is_one_that_stands_in_the_configuration(refused, cluster):
    Path("tiny.yaml").write_text(f"{TINY}\nstorage: {{journal: 'postgresql://me:secret@host/evosearch'}}\n")
    found = refused("submit", "tiny.yaml")
    assert "PGPASSWORD" in found
    assert "secret" not in found
    assert cluster.asked == []


def test_searches_and_images_stay_here_and_a_package_that_is_called_data_does_not(
    command, cluster, monkeypatch
):
    assert command("submit", "tiny.yaml").status == 0
    assert {"/runs", "/data", ".git", ".venv*", ".env"} <= set(cluster.parcels[0].left_out)
    monkeypatch.setenv("EVOSEARCH_HOME", "elsewhere/home")
    monkeypatch.setenv("EVOSEARCH_DATA", "/outside/data")
    assert command("submit", "tiny.yaml").status == 0
    assert "/elsewhere/home" in cluster.parcels[1].left_out
    assert not any("data" in pattern for pattern in cluster.parcels[1].left_out)


def test_where_the_head_looks_for_images_is_told(command, cluster):
    Path("pictures.yaml").write_text(TINY.replace("{name: digits}", "{name: image_folder, root: pictures}"))
    ended = command("submit", "pictures.yaml")
    assert ended.err == (
        "images are not sent: the head looks for 'pictures', a relative one under its $EVOSEARCH_DATA\n"
    )


def test_an_ignored_configuration_is_refused(refused, cluster):
    Path(".rayignore").write_text("tiny.yaml\n")
    assert refused("submit", "tiny.yaml").startswith("tiny.yaml is not sent, since ")
    assert cluster.asked == []


def test_without_a_cluster_it_says_how_to_name_one(refused, monkeypatch):
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    assert "--address http://HEAD:8265" in refused("submit", "tiny.yaml")


def test_a_cluster_that_does_not_answer_ends_with_3_and_one_line(command):
    ended = command("submit", "tiny.yaml", "--address", "http://127.0.0.1:1")
    assert (ended.status, ended.out) == (3, "")
    assert ended.err == "evosearch: no Ray job server at http://127.0.0.1:1: [Errno 111] Connection refused\n"
