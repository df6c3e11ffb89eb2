"""One Ray cluster for all tests that need one; each of its nodes is a set of processes on this machine."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

QUICK_HEALTH_CHECKS = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}
"""A dead node is noticed after 5 seconds instead of 15."""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Two cores on one node; `address` is where it is, `add_node` and `remove_node` change it."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 2, "include_dashboard": False, "_system_config": QUICK_HEALTH_CHECKS}
    made = Cluster(initialize_head=True, head_node_args=head)
    yield made
    made.shutdown()


@pytest.fixture
def add_node(cluster: Any) -> Iterator[Callable[..., Any]]:
    """Adds a node of so many `num_cpus` and pretended `num_gpus`, with `env_vars`; it is gone when the test ends."""
    added = []

    def add(**resources: Any) -> Any:
        added.append(cluster.add_node(**resources))
        return added[-1]

    yield add
    for node in added:
        if node in cluster.worker_nodes:
            cluster.remove_node(node)
