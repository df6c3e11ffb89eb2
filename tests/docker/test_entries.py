"""The commands with which the files start nodes and searches, run here: a head that trains nothing and two workers.

Only ports and addresses are other ones, and the configuration is a tiny one.
"""

import json
import shlex
from contextlib import ExitStack

import pytest

from tests.docker.shipped import COMPOSE, RAYJOB, load
from tests.finished_search import EVALUATIONS, TINY
from tests.ray_head import open_cluster

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(300)]

SERVICES = load(COMPOSE)["services"]
HEAD, *WORKERS = (SERVICES[name]["command"] for name in ("head", "worker-1", "worker-2"))


@pytest.fixture(scope="module")
def cluster():
    with open_cluster() as made, ExitStack() as nodes:
        place = (("--port", made.port), ("--dashboard-host", "127.0.0.1"))
        nodes.enter_context(made.node(*replaced(HEAD, *place)))
        for command in WORKERS:
            nodes.enter_context(made.node(*replaced(command, ("--address", made.address))))
        yield made


@pytest.fixture
def folder(tmp_path):
    """With a configuration for workers whose GPUs do not exist."""
    (tmp_path / "tiny.yaml").write_text(TINY.replace("{count: 1}", "{count: 1, device: cpu}"))
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


def test_its_nodes_are_a_head_that_trains_nothing_and_two_workers_with_two_gpus_each(cluster, folder):
    program = (
        "import ray; ray.init('auto', logging_level='ERROR'); "
        "print(*sorted(node['Resources'].get('GPU', 0) for node in ray.nodes()))"
    )
    ended = cluster.run("python", "-c", program, cwd=folder, RAY_ADDRESS=cluster.address)
    assert ended.stdout.split() == ["0", "2.0", "2.0"]


def test_the_ray_jobs_entry_point_runs_a_search(cluster, folder, database):
    entry = shlex.split(load(RAYJOB)["spec"]["entrypoint"])
    config, storage = entry[2], entry[4]
    assert entry == ["evosearch", "run", config, "--storage", storage]
    command = replaced(entry, (config, str(folder / "tiny.yaml")), (storage, database))
    ended = cluster.run("ray", "job", "submit", "--", *command, cwd=folder)
    assert "tiny: done, 2 generations" in ended.stdout
    assert_done(cluster, folder, database)


def test_the_compose_files_search_runs_one(cluster, folder, database):
    search = SERVICES["search"]
    entry = replaced(search["entrypoint"], ("--address", cluster.url), ("--storage", database))
    ended = cluster.run(*entry[entry.index("evosearch") :], "tiny.yaml", cwd=folder)
    assert "tiny: done, 2 generations" in ended.stderr
    assert_done(cluster, folder, database)
    assert cluster.token not in ended.stdout + ended.stderr


def test_its_health_is_asked_with_the_token_and_refused_without(cluster, folder):
    check = [word for word in SERVICES["head"]["healthcheck"]["test"] if word != "CMD"]
    command = replaced(check, ("--address", cluster.address))
    cluster.run(*command, cwd=folder)
    refused = cluster.run(*command, cwd=folder, check=False, RAY_AUTH_TOKEN="f" * 64)
    assert refused.returncode != 0
