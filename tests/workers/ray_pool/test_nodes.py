from functools import partial
from typing import Any, Literal

import pytest

from evosearch.errors import CannotRunError
from evosearch.runtime import WorkerSettings
from workers.ray_pool.nodes import (
    Names,
    Node,
    View,
    capacity,
    check_holds_one,
    choose_device,
    plan,
    read_view,
    tell_changes,
)

A = Node("a", "one", gpus=2, cores=8)
B = Node("b", "two", gpus=2, cores=8)
DRAINING = Node("d", "three", gpus=2, cores=8, draining=True)


def _rooms(device: Literal["cpu", "cuda"] = "cuda", threads: int = 1, per_gpu: int = 1) -> Any:
    settings = WorkerSettings(per_gpu=per_gpu)
    return partial(capacity, settings=settings, threads=threads, device=device)


def test_each_gpu_gets_a_worker_and_nodes_that_drain_or_are_closed_get_none() -> None:
    assert plan([A, B, DRAINING], _rooms(), None) == {"a": 2, "b": 2}
    assert plan([A, B], _rooms(), None, closed={"a"}) == {"b": 2}


@pytest.mark.parametrize(
    ("device", "threads", "per_gpu", "workers"),
    [("cuda", 1, 3, 6), ("cuda", 4, 3, 2), ("cuda", 9, 1, 0), ("cpu", 1, 1, 8), ("cpu", 3, 1, 2)],
)
def test_a_node_holds_what_its_gpus_share_and_its_cores_let_run(
    device: Literal["cpu", "cuda"], threads: int, per_gpu: int, workers: int
) -> None:
    assert _rooms(device, threads, per_gpu)(A) == workers


def test_a_node_without_gpus_or_cores_gets_no_worker() -> None:
    assert not plan([Node("h", "head", gpus=0, cores=8), Node("g", "gpus", gpus=4, cores=0)], _rooms(), None)


def test_few_workers_are_spread_over_the_nodes_in_turn() -> None:
    assert plan([A, B], _rooms(), 3) == {"a": 2, "b": 1}
    assert plan([A, B], _rooms(), 1) == {"a": 1}
    assert plan([A, B], _rooms(), 9) == {"a": 2, "b": 2}


def test_workers_stay_where_they_are_when_a_node_joins_and_their_number_is_limited() -> None:
    assert plan([A, B], _rooms(), 2, present={"b": 2}) == {"b": 2}
    assert plan([A, B], _rooms(), 3, present={"b": 2}) == {"a": 1, "b": 2}


def test_slots_that_no_worker_starts_in_are_left_out_and_others_take_their_share() -> None:
    assert plan([A, B], _rooms(), None, caps={"a": 1}) == {"a": 1, "b": 2}
    assert plan([A, B], _rooms(), 2, caps={"a": 0}) == {"b": 2}


def test_a_view_holds_the_living_by_host_and_why_the_others_died() -> None:
    table: list[dict[str, Any]] = [
        {"NodeID": "2", "NodeManagerHostname": "b", "Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0}},
        {"NodeID": "1", "NodeManagerHostname": "a", "Alive": True, "Resources": {}},
        {"NodeID": "0", "NodeManagerHostname": "c", "Alive": False, "DeathReasonMessage": "sold"},
    ]
    view = read_view(table, {"2": 17})
    assert view.nodes == (
        Node("1", "a", gpus=0, cores=0),
        Node("2", "b", gpus=1, cores=4, draining=True),
    )
    assert view.deaths == {"0": "sold"}
    assert view.lives("2")
    assert not view.lives("0")


def test_gpus_are_used_where_there_are_any_unless_told_otherwise() -> None:
    assert choose_device([A], WorkerSettings()) == "cuda"
    assert choose_device([A], WorkerSettings(device="cpu")) == "cpu"
    bare = Node("c", "bare", gpus=0, cores=8)
    assert choose_device([bare], WorkerSettings()) == "cpu"
    with pytest.raises(
        CannotRunError, match=r"device is cuda, but none of the Ray cluster's 1 nodes has a GPU"
    ):
        choose_device([bare], WorkerSettings(device="cuda"))


def test_a_worker_that_fits_nowhere_is_refused_with_the_numbers() -> None:
    check_holds_one([A], WorkerSettings(), 8, "cuda")
    with pytest.raises(
        CannotRunError, match=r"a worker needs 9 cores and a GPU on one node, .*one has 8 cores and 2 GPUs"
    ):
        check_holds_one([A], WorkerSettings(), 9, "cuda")


def test_nodes_of_one_host_have_different_names_that_stay() -> None:
    names = Names()
    nodes = [Node(key, "host", 1, 1) for key in "abc"] + [Node("d", "host-2", 1, 1)]
    assert [names.of(node) for node in nodes] == ["host", "host-2", "host-3", "host-2-2"]
    assert [names.of(node) for node in nodes] == ["host", "host-2", "host-3", "host-2-2"]
    assert names.find("host-3") == {"c"}
    assert names.find("nobody") == set()


def test_changes_are_told_a_line_each_and_of_nodes_without_room_nothing() -> None:
    head = Node("h", "head", gpus=0, cores=2)
    before = View((A, B), {})
    now = View((B, DRAINING, head), {"a": "the raylet\nwas killed"})
    assert tell_changes(before, now, Names(), _rooms()) == [
        "node one left: the raylet was killed",
        "node three joined with room for 2 workers",
        "node three is draining and gets no new work",
    ]
    assert not tell_changes(now, now, Names(), _rooms())
