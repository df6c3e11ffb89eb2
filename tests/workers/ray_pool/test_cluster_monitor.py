import threading
import time
from typing import Any

import pytest
import ray

from workers.ray_pool import nodes as monitor
from workers.ray_pool.nodes import ClusterMonitor

pytestmark = pytest.mark.ray


def test_a_node_that_joins_and_leaves_is_seen_by_whoever_asks_now(cluster: Any, add_node: Any) -> None:
    ray.init(cluster.address, log_to_driver=False)
    try:
        watching = ClusterMonitor()
        assert len(watching.view.nodes) == 1
        node = add_node(num_cpus=1)
        assert watching.look_now(10).lives(node.node_id)
        cluster.remove_node(node)
        gone = watching.look_now(10)
        assert not gone.lives(node.node_id)
        assert node.node_id in gone.deaths
        watching.close()
    finally:
        ray.shutdown()


def test_a_head_that_does_not_answer_holds_nobody_up(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ray.init(cluster.address, log_to_driver=False)
    silent = threading.Event()
    try:
        watching = ClusterMonitor()
        seen = watching.look_now(10)
        monkeypatch.setattr(monitor, "look", silent.wait)
        start = time.monotonic()
        assert watching.look_now(0.3).nodes == seen.nodes
        watching.close()
        assert time.monotonic() - start < 2
    finally:
        silent.set()
        ray.shutdown()


def test_a_view_stays_as_it_was_where_the_connection_is_closed_first(cluster: Any) -> None:
    ray.init(cluster.address, log_to_driver=False)
    watching = ClusterMonitor()
    ray.shutdown()
    assert len(watching.look_now(10).nodes) == 1
    watching.close()
    assert not ray.is_initialized()
