import time
from typing import Any

import psutil
import pytest
import ray

from evosearch.errors import CannotRunError
from evosearch.runtime import WorkerSettings
from workers.ray_cluster import Connection, connect, disconnect

pytestmark = pytest.mark.ray


def _address() -> str:
    return str(ray.get_runtime_context().gcs_address)


def test_a_given_address_is_used_and_left_running(cluster: Any) -> None:
    for _ in range(2):
        connection = connect(WorkerSettings(address=cluster.address), threads=1)
        assert _address() == cluster.address
        assert connection == Connection("cpu", ours=True)
        disconnect(connection)
        assert not ray.is_initialized()


def test_ray_address_is_used_where_no_address_is_given(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    connection = connect(WorkerSettings(), threads=2)
    assert _address() == cluster.address
    disconnect(connection)


def test_without_an_address_a_private_cluster_starts_beside_the_running_one_and_ends_with_all_its_processes(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    before = set(psutil.Process().children(recursive=True))
    connection = connect(WorkerSettings(count=2, device="cpu"), threads=2)
    assert _address() != cluster.address
    assert ray.cluster_resources()["CPU"] == 4
    own = set(psutil.Process().children(recursive=True)) - before
    assert own
    start = time.monotonic()
    disconnect(connection)
    _, alive = psutil.wait_procs(own, timeout=10)
    assert not alive
    assert time.monotonic() - start < 10


def test_a_connection_of_the_users_own_program_is_used_and_kept(cluster: Any) -> None:
    ray.init(cluster.address, log_to_driver=False)
    connection = connect(WorkerSettings(count=2), threads=1)
    disconnect(connection)
    assert ray.is_initialized()
    ray.shutdown()


def test_an_address_where_no_cluster_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotRunError, match=r"no Ray cluster at 127\.0\.0\.1:1: "):
        connect(WorkerSettings(address="127.0.0.1:1"), threads=1)


def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(CannotRunError, match="no Ray cluster at nonsense: "):
        connect(WorkerSettings(address="nonsense"), threads=1)
