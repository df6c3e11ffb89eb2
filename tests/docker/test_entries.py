"""The command with which each file starts a search, on a cluster of a head that trains nothing and two workers."""

import json
import shlex

import pytest

from tests.docker.shipped import COMPOSE, RAYJOB, load
from tests.finished_search import EVALUATIONS, TINY
from tests.ray_head import start_cluster

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(300)]

SERVICES = load(COMPOSE)["services"]


@pytest.fixture(scope="module")
def cluster():
    head = [option for option in SERVICES["head"]["command"] if option.startswith("--num-")]
    with start_cluster(*head, workers=(("--num-cpus=1",), ("--num-cpus=1",))) as made:
        yield made


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


def replaced(words, *pairs):
    """The words with `(which, by what)` replaced; each must be there."""
    for which, value in pairs:
        (index,) = (n for n, word in enumerate(words) if word == which or word.startswith(f"{which}="))
        words = [*words[:index], f"{which}={value}" if "=" in words[index] else value, *words[index + 1 :]]
    return words


def assert_done(cluster, folder, journal):
    status = cluster.run("evosearch", "status", "tiny", "--json", "--storage", journal, cwd=folder)
    found = json.loads(status.stdout)
    assert (found["state"], found["evaluations"]["done"]) == ("done", EVALUATIONS)


def test_the_ray_jobs_entry_point_runs_a_search(cluster, folder):
    journal = str(folder / "rayjob.db")
    entry = shlex.split(load(RAYJOB)["spec"]["entrypoint"])
    assert entry[:4] == ["python", "-m", "evosearch", "run"]
    assert entry[5] == "--storage"
    command = [*entry[:4], str(folder / "tiny.yaml"), "--storage", journal]
    ended = cluster.run("ray", "job", "submit", "--", *command, cwd=folder)
    assert "tiny: done, 2 generations" in ended.stdout
    assert_done(cluster, folder, journal)


def test_the_compose_files_search_runs_one(cluster, folder):
    journal = str(folder / "compose.db")
    search = SERVICES["search"]
    entry = replaced(search["entrypoint"], ("--address", cluster.url), ("--storage", journal))
    ended = cluster.run(*entry[entry.index("evosearch") :], "tiny.yaml", cwd=folder)
    assert "tiny: done, 2 generations" in ended.stderr
    assert_done(cluster, folder, journal)
    assert cluster.token not in ended.stdout + ended.stderr


def test_its_health_is_asked_with_the_token_and_refused_without(cluster, folder):
    check = [word for word in SERVICES["head"]["healthcheck"]["test"] if word != "CMD"]
    command = replaced(check, ("--address", cluster.address))
    cluster.run(*command, cwd=folder)
    refused = cluster.run(*command, cwd=folder, check=False, RAY_AUTH_TOKEN="f" * 64)
    assert refused.returncode != 0
