import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import ray

from evosearch.errors import CannotRunError
from evosearch.evaluation import FailureKind, Success
from evosearch.runtime import (
    EvaluatorFactory,
    PoolChanged,
    PoolEvent,
    TaskDone,
    Worker,
    WorkerJoined,
    WorkerLeft,
    WorkerSettings,
)
from evosearch.testing import FormulaEvaluator
from evosearch.testing.evaluators import RaisingEvaluator
from evosearch.testing.pool_contract import BAD, BAD_ONES, gather, joined, ticket, tiny_data, training_task
from tests.workers.pretended import GIB, Pretended
from tests.workers.sent import GoneWhen, WithStandIn, stand_in
from workers.packing import Packing
from workers.ray_pool import supervisor
from workers.ray_pool.handle import LEADING_SHARE, ActorHandle, ActorSpec, share_of_gpu
from workers.ray_pool.nodes import Node, View
from workers.ray_pool.pool import RayPool
from workers.ray_pool.supervisor import STARTS, ActorSupervisor
from workers.worker.preflight import Problem


class Unreal(ActorHandle):
    """An actor that is none."""

    share = 0.0
    """Of a GPU."""

    def kill(self) -> None:
        pass


class Orders(ActorSpec):
    """Orders actors that are none."""

    def order(self, node: str, attempt: int, *, leads: bool, environment: Mapping[str, str]) -> ActorHandle:
        made = Unreal(node, None, attempt, None, leads=leads, environment=environment)
        made.share = share_of_gpu(self.settings.per_gpu, leads=leads)
        return made


def _supervisor(*nodes: Node, packing: Packing | None = None, **settings: Any) -> ActorSupervisor:
    view = View(nodes, {})
    device = "cuda" if nodes[0].gpus else "cpu"
    orders = Orders(FormulaEvaluator(), None, WorkerSettings(**settings), 1, device, None)
    made = ActorSupervisor(orders, view, lambda: view, packing)
    assert not made.match(view)
    return made


def test_an_actor_started_with_other_variables_than_its_node_wants_is_ordered_anew_once() -> None:
    made = _supervisor(ONE, TWO)
    first, other = made.handle
    assert made.suits(other, {})
    assert not made.suits(first, {"MALLOC_TOP_PAD_": "1"})
    heir = made.handle[-1]
    assert (heir.node, heir.environment, heir.attempt) == ("a", {"MALLOC_TOP_PAD_": "1"}, first.attempt)
    assert made.suits(heir, {"MALLOC_TOP_PAD_": "2"}), "what the first one found holds"
    assert made.handle == [other, heir]


OLD = Problem("node one has old wheels")
ONE, TWO = Node("a", "one", gpus=0, cores=1), Node("b", "two", gpus=0, cores=1)


def test_a_node_that_cannot_run_the_search_ends_it_at_the_start_and_is_refused_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(CannotRunError, match="node one has old wheels"):
        made = _supervisor(ONE)
        made.refuse(made.handle[0], OLD)
    monkeypatch.setattr(supervisor, "START_SECONDS", -1.0)
    with pytest.raises(
        CannotRunError, match="node one has old wheels"
    ):  # however late, if it is the first to come up
        made = _supervisor(ONE, TWO)
        made.refuse(made.handle[0], OLD)
    made = _supervisor(ONE, TWO)
    made.prove(made.handle[1])
    assert made.refuse(made.handle[0], OLD) == [PoolChanged("node one has old wheels; it gets no work")]
    assert not made.match(View((ONE, TWO), {}))
    assert [handle.node for handle in made.handle] == ["b"]
    other = Problem("node two has other images")
    made.refuse(made.handle[0], other)
    with pytest.raises(CannotRunError, match="node two has other images"):  # and none is left
        made.match(View((ONE, TWO), {}))


def test_a_refused_node_whose_last_worker_leaves_later_ends_the_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "START_SECONDS", -1.0)
    made = _supervisor(Node("a", "one", gpus=0, cores=2))
    first, second = made.handle
    made.prove(first)
    first.worker, first.call = Worker("one-1", "one/cpu"), object()
    made.refuse(second, OLD)
    assert not made.match(made._view)
    made.end(first)
    with pytest.raises(CannotRunError, match="node one has old wheels"):
        made.match(made._view)


def test_while_a_node_rests_the_refusal_of_another_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "START_SECONDS", -1.0)
    made = _supervisor(ONE, TWO)
    made.prove(made.handle[1])
    made.refuse(made.handle[0], Problem("node one has no disk", lasting=False))
    made.refuse(made.handle[0], OLD)
    (told,) = made.match(View((ONE, TWO), {}))
    assert isinstance(told, PoolChanged)
    made._wake(time.monotonic() + supervisor.REST_SECONDS)
    made.match(View((ONE, TWO), {}))
    assert [handle.node for handle in made.handle] == ["a"]


def test_a_node_whose_disk_is_full_for_a_while_keeps_its_workers_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "START_SECONDS", -1.0)
    node = Node("a", "one", gpus=0, cores=2)
    made = _supervisor(node)
    first, second = made.handle
    made.prove(first)
    (told,) = made.refuse(second, Problem("node one has no disk", lasting=False))
    assert told == PoolChanged("node one has no disk; it gets no other worker for 5 minutes")
    assert not made.match(View((node,), {}))
    assert made.handle == [first]
    made._wake(time.monotonic() + supervisor.REST_SECONDS)
    assert not made.match(View((node,), {}))
    assert len(made.handle) == 2


def test_few_workers_of_a_node_are_spread_over_its_gpus() -> None:
    made = _supervisor(Node("a", "one", gpus=2, cores=8), per_gpu=2, count=3)
    assert [handle.leads for handle in made.handle] == [True, True, False]
    for leading in (made.handle[2], made.handle[0]):  # in whatever order they die
        made.bury(leading, FailureKind.CRASHED, "gone")
    assert [handle.leads for handle in made.handle] == [True, False, True]


def test_a_first_worker_that_finds_no_gpu_of_its_own_shares_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made = _supervisor(Node("a", "one", gpus=2, cores=8), per_gpu=2)
    monkeypatch.setattr(supervisor, "WAIT_SECONDS", -1.0)
    made.match(made._view)
    assert [handle.leads for handle in made.handle] == [True, False, False, False]
    for handle in made.handle:
        handle.met = True
    made.match(made._view)
    assert [handle.leads for handle in made.handle] == [True, False, False, False]


EIGHT = Packing(side=8, need=20 * GIB, threads=1, curves={})
"""80 GiB hold four of these, 20 GiB one."""
LARGE, LITTLE = Node("a", "one", gpus=2, cores=16), Node("b", "two", gpus=1, cores=16)


def _pack(made: ActorSupervisor, place: int, model: str, gib: int) -> list[PoolEvent]:
    """The actor at this place of the list joins, on such a GPU; what is told, and then what `match` tells."""
    handle = made.handle[place]
    handle.met, handle.worker = True, Worker(f"w{place}", f"{handle.node}/cuda:0", gib * GIB, model)
    return [*made.pack(handle, handle.worker), *made.match(made._view)]


def _nodes(made: ActorSupervisor) -> list[str]:
    return [handle.node for handle in made.handle]


def test_how_many_share_a_gpu_is_decided_on_each_node_by_the_first_worker_that_joins_there() -> None:
    made = _supervisor(LARGE, LITTLE, packing=EIGHT, per_gpu="auto")
    assert _nodes(made) == ["a", "a", "b"], "each GPU has its first worker"
    assert {handle.share for handle in made.handle} == {LEADING_SHARE}
    (told,) = _pack(made, 0, "Large", 80)
    assert isinstance(told, PoolChanged)
    assert told.text.startswith(
        "workers.per_gpu: auto is 4 (Large, 8 px: unmeasured model, so 4 below 96 px; "
    )
    assert _nodes(made) == ["a", "a", "b", *"aaaaaa"]
    assert {handle.share for handle in made.handle[3:]} == {share_of_gpu(4, leads=False)}
    assert not any(handle.leads for handle in made.handle[3:])
    assert _pack(made, 1, "Large", 80) == [], "it is decided"
    (told,) = _pack(made, 2, "Little", 20)
    assert isinstance(told, PoolChanged)
    assert "auto is 1 (Little, " in told.text
    assert len(made.handle) == 9


def test_the_same_is_told_once_for_all_nodes() -> None:
    made = _supervisor(LITTLE, Node("c", "three", gpus=1, cores=16), packing=EIGHT, per_gpu="auto")
    assert len(_pack(made, 0, "Large", 80)) == 1
    assert _pack(made, 1, "Large", 80) == []
    assert sorted(_nodes(made)) == [*"bbbb", *"cccc"]


def test_a_limited_number_of_workers_is_spread_over_nodes_of_which_one_is_not_known_yet() -> None:
    other = Node("c", "three", gpus=1, cores=16)
    made = _supervisor(LITTLE, other, packing=EIGHT, per_gpu="auto", count=6)
    _pack(made, 0, "Large", 80)
    assert _nodes(made).count("b") == 3
    _pack(made, 1, "Large", 80)
    assert _nodes(made).count("c") == 3


def test_a_gpu_on_which_no_first_worker_starts_takes_no_others_of_its_node_along() -> None:
    made = _supervisor(LARGE, packing=EIGHT, per_gpu="auto")
    for _ in range(STARTS):
        made.bury(made.handle[-1], FailureKind.CRASHED, "no such GPU")
    made.match(made._view)
    assert len(made.handle) == 1
    _pack(made, 0, "Large", 80)
    assert len(made.handle) == 4


def test_a_first_worker_that_waits_for_room_goes_on_waiting_where_nobody_knows_its_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = _supervisor(LARGE, packing=EIGHT, per_gpu="auto")
    monkeypatch.setattr(supervisor, "WAIT_SECONDS", -1.0)
    made.match(made._view)
    assert [handle.leads for handle in made.handle] == [True, True]
    _pack(made, 0, "Large", 80)
    made.match(made._view)
    assert [handle.leads for handle in made.handle].count(True) == 1, "it may share the other one's"


def test_where_a_node_gives_up_its_worker_another_gets_it_and_after_the_last_nothing_can_run() -> None:
    made = _supervisor(ONE, TWO, count=1)
    for _ in range(STARTS):
        assert [handle.node for handle in made.handle] == ["a"]
        told = made.bury(made.handle[0], FailureKind.CRASHED, "no such library")
    assert told == [
        PoolChanged("one gave up a slot whose worker died 3 times while it started: no such library")
    ]
    made.match(View((ONE, TWO), {}))
    for _ in range(STARTS - 1):
        assert [handle.node for handle in made.handle] == ["b"]
        made.bury(made.handle[0], FailureKind.CRASHED, "no such library")
    with pytest.raises(CannotRunError, match="no Ray worker became ready, 3 times in a row: no such library"):
        made.bury(made.handle[0], FailureKind.CRASHED, "no such library")


def test_a_start_that_its_node_did_not_survive_is_not_held_against_the_slot() -> None:
    made = _supervisor(ONE)
    gone = View((), {"a": "unplugged"})
    made._look = lambda: gone
    for _ in range(STARTS + 1):
        made.match(View((ONE,), {}))
        made.bury(made.handle[0], FailureKind.WORKER_LOST, "never ran")
    assert made.match(gone) == [
        PoolChanged("node one left: unplugged"),
        PoolChanged("waiting for nodes: none of the cluster has room for a worker now"),
    ]
    assert not made.match(gone), "told once"


@pytest.mark.parametrize("node_lives", [True, False])
def test_a_worker_that_is_lost_is_told_with_whether_its_node_lives_on(node_lives: bool) -> None:
    made = _supervisor(ONE)
    (handle,) = made.handle
    handle.worker = Worker("one-1", "one/cpu")
    view = View((ONE,) if node_lives else (), {})
    made._look = lambda: view
    told = made.bury(handle, FailureKind.WORKER_LOST, "out of reach")
    assert told == [
        WorkerLeft(handle.worker, FailureKind.WORKER_LOST, "out of reach", node_lost=not node_lives)
    ]


def test_the_workers_of_a_dead_node_are_lost_with_it() -> None:
    made = _supervisor(ONE)
    (handle,) = made.handle
    handle.worker = Worker("one-1", "one/cpu")
    first, *rest = made.match(View((), {"a": "unplugged"}))
    message = "node one died: unplugged"
    assert first == PoolChanged("node one left: unplugged")
    assert rest[0] == WorkerLeft(handle.worker, FailureKind.WORKER_LOST, message, node_lost=True)


class Asked(list[ActorHandle]):
    """Counts how often it is asked whether somebody is in it, which costs a look at each."""

    times = 0

    def __contains__(self, one: object) -> bool:
        self.times += 1
        return super().__contains__(one)


def test_workers_that_are_well_are_looked_after_without_looking_each_up_among_all() -> None:
    pool = RayPool(FormulaEvaluator(), tiny_data(), WorkerSettings(), threads=1)
    pool._supervisor = made = _supervisor(Node("a", "one", gpus=0, cores=8))
    made.handle = asked = Asked(made.handle)
    assert not pool._tend()
    assert (len(asked), asked.times) == (8, 0)


def _pool(cluster: Any, factory: EvaluatorFactory, reach: Any = None, **settings: Any) -> RayPool:
    made = WorkerSettings(address=cluster.address, **{"device": "cuda", **settings})
    return RayPool(factory, tiny_data(), made, threads=1, reach=reach)


def _joined(events: list[PoolEvent]) -> list[Worker]:
    return [event.worker for event in events if isinstance(event, WorkerJoined)]


def _lines(events: list[PoolEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, PoolChanged)]


def _drain(cluster: Any, node: Any) -> None:
    from ray._raylet import GcsClient
    from ray.core.generated import autoscaler_pb2

    preemption = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    deadline = int(time.time() * 1000) + 600_000
    accepted, _ = GcsClient(address=cluster.address).drain_node(node.node_id, preemption, "spot", deadline)
    assert accepted


@pytest.mark.ray
def test_a_node_that_joins_gets_workers_under_a_name_of_its_own(
    cluster: Any, add_node: Callable[..., Any]
) -> None:
    add_node(num_cpus=1, num_gpus=1)
    with closing(_pool(cluster, FormulaEvaluator())) as pool:
        pool.start()
        (first,) = joined(pool, 1)
        add_node(num_cpus=2, num_gpus=2)
        events = gather(pool, lambda events: len(_joined(events)) == 2)
    second, third = _joined(events)
    assert second.node == third.node
    assert first.node != second.node, "they share a host, but are two nodes"
    assert {second.device, third.device} == {f"{second.node}/cuda:0", f"{second.node}/cuda:1"}
    assert _lines(events) == [f"node {second.node} joined with room for 2 workers"]


@pytest.mark.ray
def test_a_draining_node_loses_idle_workers_at_once_and_busy_ones_with_their_task(
    cluster: Any, add_node: Callable[..., Any]
) -> None:
    node = add_node(num_cpus=2, num_gpus=2)
    with closing(_pool(cluster, FormulaEvaluator(seconds=3))) as pool:
        pool.start()
        busy, idle = joined(pool, 2)
        pool.submit(busy, ticket(0), training_task())
        _drain(cluster, node)
        events = gather(pool, lambda events: any(isinstance(event, TaskDone) for event in events))
        after = gather(pool, bool)
    assert WorkerLeft(idle, FailureKind.WORKER_LOST, "its node is draining") in events
    (done,) = (event for event in events if isinstance(event, TaskDone))
    assert (done.worker, done.leaves) == (busy, "its node is draining")
    assert isinstance(done.result, Success)
    assert f"node {busy.node} is draining and gets no new work" in _lines(events)
    assert "waiting for nodes: none of the cluster has room for a worker now" in _lines(after)
    assert not _joined([*events, *after])


@pytest.mark.ray
@pytest.mark.slow
def test_a_killed_node_takes_its_tasks_along_while_others_go_on(
    cluster: Any, add_node: Callable[..., Any]
) -> None:
    doomed, _ = add_node(num_cpus=2, num_gpus=2), add_node(num_cpus=1, num_gpus=1)
    with closing(_pool(cluster, FormulaEvaluator(seconds=12))) as pool:
        pool.start()
        workers = joined(pool, 3)
        for number, worker in enumerate(workers):
            pool.submit(worker, ticket(number), training_task())
        cluster.remove_node(doomed, allow_graceful=False)
        events = gather(pool, lambda events: any(isinstance(event, TaskDone) for event in events))
    left = [event for event in events if isinstance(event, WorkerLeft)]
    (done,) = (event for event in events if isinstance(event, TaskDone))
    assert {event.worker.name for event in left} | {done.worker.name} == {worker.name for worker in workers}
    assert {event.kind for event in left} == {FailureKind.WORKER_LOST}
    assert all(event.node_lost for event in left)
    assert not done.leaves
    assert not _joined(events)


@pytest.mark.ray
def test_workers_share_a_gpu_as_told(cluster: Any, add_node: Callable[..., Any]) -> None:
    add_node(num_cpus=4, num_gpus=1)
    with closing(_pool(cluster, FormulaEvaluator(), per_gpu=3)) as pool:
        pool.start()
        workers = joined(pool, 3)
        assert not pool.poll(0.5)
    assert len({worker.name for worker in workers}) == 3
    assert {worker.device for worker in workers} == {f"{workers[0].node}/cuda:0"}


@pytest.mark.ray
def test_actors_that_share_a_gpu_through_mps_are_lost_together(
    cluster: Any, add_node: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "base").mkdir()
    add_node(num_cpus=4, num_gpus=1)
    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    inner = RaisingEvaluator(BAD_ONES, inner=FormulaEvaluator(seconds=600), error=error)
    factory = WithStandIn(inner, str(stand_in(tmp_path / "bin")), str(tmp_path / "base"))
    with closing(_pool(cluster, factory, per_gpu=3)) as pool:
        pool.start()
        guilty, innocent, idle = joined(pool, 3)
        assert all(worker.mps for worker in (guilty, innocent, idle))
        pool.submit(innocent, ticket(0), training_task())
        pool.submit(guilty, ticket(1), training_task(BAD))
        left = [event for event in gather(pool, _somebody_left) if isinstance(event, WorkerLeft)]
        joined(pool, 3)
    assert {one.worker: one.kind for one in left} == {
        guilty: FailureKind.CRASHED,
        innocent: FailureKind.WORKER_LOST,
        idle: FailureKind.WORKER_LOST,
    }


def _somebody_left(events: list[PoolEvent]) -> bool:
    return any(isinstance(event, WorkerLeft) for event in events)


def test_on_nodes_with_other_gpus_other_numbers_share_them_and_it_is_told(
    cluster: Any, add_node: Callable[..., Any]
) -> None:
    add_node(num_cpus=3, num_gpus=1, env_vars={"PRETENDED": "Large 80"})
    add_node(num_cpus=3, num_gpus=1, env_vars={"PRETENDED": "Little 20"})
    settings = WorkerSettings(address=cluster.address, device="cuda", per_gpu="auto")
    with closing(RayPool(Pretended(), tiny_data(), settings, threads=1, packing=EIGHT)) as pool:
        pool.start()
        events = gather(pool, lambda events: len(_joined(events)) == 4)
        assert pool.settled
        assert not pool.poll(0.5)
    found = [(worker.processor, worker.device) for worker in _joined(events)]
    assert sorted(model for model, _ in found) == ["Large", "Large", "Large", "Little"]
    assert len({device for _, device in found}) == 2
    told = sorted(line for line in _lines(events) if line.startswith("workers.per_gpu"))
    assert [line.partition(" px")[0] for line in told] == [
        "workers.per_gpu: auto is 1 (Little, 8",
        "workers.per_gpu: auto is 3 (Large, 8",
    ]
    assert told[1].endswith("memory would allow 4, cores 3)")


@pytest.mark.ray
def test_a_node_that_joins_and_cannot_run_the_search_is_refused_with_the_reason(
    cluster: Any, add_node: Callable[..., Any], tmp_path: Path
) -> None:
    add_node(num_cpus=1, num_gpus=1)
    with closing(_pool(cluster, FormulaEvaluator(), reach=GoneWhen(str(tmp_path / "gone")))) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        (tmp_path / "gone").touch()
        add_node(num_cpus=1, num_gpus=1)
        events = gather(pool, lambda events: len(events) == 2)
        pool.submit(worker, ticket(0), training_task())
        (done,) = gather(pool, bool)
    assert isinstance(done, TaskDone)
    refusal = _lines(events)[1]
    assert refusal.endswith(
        "cannot reach the artifact store: it is gone; it gets no other worker for 5 minutes"
    )
    assert f"node {worker.node} " not in refusal


@pytest.mark.ray
def test_a_cluster_whose_cores_others_hold_is_waited_for_with_a_word(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "WAIT_SECONDS", 0.5)
    ray.init(cluster.address, log_to_driver=False)
    try:
        holder = ray.remote(num_cpus=2)(Holder).remote()
        ray.get(holder.hold.remote())
        with closing(_pool(cluster, FormulaEvaluator(), device="cpu")) as pool:
            pool.start()
            (waiting,) = gather(pool, bool)
            ray.kill(holder)
            events = gather(pool, lambda events: len(_joined(events)) == 2)
    finally:
        ray.shutdown()
    assert isinstance(waiting, PoolChanged)
    assert waiting.text.startswith("waiting for room: Ray has started none of 2 workers for ")
    assert len(events) == 2


class Holder:
    def hold(self) -> None:
        pass
