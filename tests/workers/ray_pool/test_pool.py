import operator
import signal
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

from evosearch.errors import CannotRunError
from evosearch.evaluation import FailureKind
from evosearch.runtime import (
    EvaluatorFactory,
    PoolChanged,
    PoolEvent,
    TaskDone,
    Worker,
    WorkerJoined,
    WorkerLeft,
    WorkerPool,
    WorkerProgressed,
    WorkerSettings,
)
from evosearch.testing.evaluators import ExitingEvaluator, FormulaEvaluator, RaisingEvaluator, Victims
from evosearch.testing.pool_contract import PoolContract, gather, joined, ticket, tiny_data, training_task
from tests.workers.memory import LargeLayer, median_faults
from tests.workers.sent import FirstOnly, Sent
from workers.allocator import c_library
from workers.ray_pool import handle
from workers.ray_pool import pool as ray_pool
from workers.ray_pool.pool import RayPool, _worth_telling
from workers.worker import preflight

pytestmark = pytest.mark.ray

ALL = Victims(every=1)


def _actors() -> set[int]:
    """Ids of this machine's processes that are actors of ours."""
    processes = psutil.process_iter(["cmdline"])
    return {process.pid for process in processes if "WorkerActor" in " ".join(process.info["cmdline"] or ())}


class TestRayPool(PoolContract):
    @pytest.fixture(autouse=True)
    def _use(self, cluster: Any) -> None:
        self.address = cluster.address

    def make_pool(self, factory: EvaluatorFactory, workers: int, **changes: Any) -> WorkerPool:
        settings = WorkerSettings(count=workers, address=self.address, **changes)
        return RayPool(factory, tiny_data(), settings, threads=1)

    def worker_processes(self) -> set[int]:
        return _actors()


def _pool(cluster: Any, factory: EvaluatorFactory, **settings: Any) -> RayPool:
    return RayPool(factory, tiny_data(), WorkerSettings(address=cluster.address, **settings), threads=1)


def test_a_killed_actor_is_told_in_one_short_line_and_nothing_goes_to_standard_output(
    cluster: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    with closing(_pool(cluster, ExitingEvaluator(ALL, signal=signal.SIGSEGV), count=1)) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        pool.submit(worker, ticket(0), training_task())
        left, _ = gather(pool, lambda events: len(events) == 2)
    assert isinstance(left, WorkerLeft)
    assert left.kind is FailureKind.CRASHED
    assert left.message.startswith("ActorDiedError: The actor is dead because its worker process has died.")
    assert len(left.message) < 300
    assert capfd.readouterr().out == ""


def test_a_lost_cuda_context_ends_the_actor_and_its_message_is_kept(cluster: Any) -> None:
    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    with closing(_pool(cluster, RaisingEvaluator(ALL, error=error), count=1)) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        pool.submit(worker, ticket(0), training_task())
        left, *_ = gather(pool, bool)
    assert isinstance(left, WorkerLeft)
    assert left.kind is FailureKind.CRASHED
    assert "illegal memory access" in left.message


def _environments(pool: RayPool, workers: int = 1) -> list[dict[str, str]]:
    """Those of the actors that a pool has come to, once so many are ready."""
    before = _actors()
    pool.start()
    joined(pool, workers)
    return [psutil.Process(number).environ() for number in _actors() - before]


@pytest.mark.skipif(c_library() != "glibc", reason="only glibc can be told to keep memory")
@pytest.mark.parametrize("private", [False, True])
def test_an_actor_keeps_the_memory_of_a_large_layer_from_one_step_to_the_next(
    cluster: Any, private: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    settings = WorkerSettings(count=1, device="cpu", address=None if private else cluster.address)
    with closing(RayPool(LargeLayer(), tiny_data(), settings, threads=1)) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        pool.submit(worker, ticket(0), training_task())
        (done,) = (event for event in gather(pool, _is_done) if isinstance(event, TaskDone))
    assert median_faults(done.result) < 1000


def _is_done(events: list[PoolEvent]) -> bool:
    return any(isinstance(event, TaskDone) for event in events)


@pytest.mark.skipif(c_library() != "glibc", reason="only glibc is told anything")
def test_a_nodes_own_setting_of_the_allocator_is_that_of_its_actors(
    cluster: Any, add_node: Callable[..., Any]
) -> None:
    add_node(num_cpus=1, num_gpus=1, env_vars={"MALLOC_ARENA_MAX": "7"})
    with closing(_pool(cluster, FormulaEvaluator(), device="cuda")) as pool:
        (found,) = _environments(pool)
    assert found["MALLOC_ARENA_MAX"] == "7"
    assert found["MALLOC_TOP_PAD_"] == "67108864", "which the node does not set"


@pytest.mark.skipif(c_library() != "glibc", reason="only glibc is told anything")
def test_a_jobs_own_setting_of_the_allocator_is_that_of_its_actors(cluster: Any) -> None:
    ray.init(
        cluster.address, runtime_env={"env_vars": {"MALLOC_ARENA_MAX": "7", "MINE": "1"}}, log_to_driver=False
    )
    try:
        with closing(_pool(cluster, FormulaEvaluator(), count=1)) as pool:
            (found,) = _environments(pool)
    finally:
        ray.shutdown()
    assert (found["MALLOC_ARENA_MAX"], found["MINE"]) == ("7", "1")
    assert found["MALLOC_TOP_PAD_"] == "67108864", "which the job does not set"


@pytest.mark.parametrize("graceful", [True, False])
def test_a_worker_whose_node_goes_away_is_lost_and_its_heir_waits_for_another_node(
    cluster: Any, add_node: Callable[..., Any], graceful: bool
) -> None:
    node = add_node(num_cpus=1, num_gpus=1)
    with closing(_pool(cluster, FormulaEvaluator(seconds=600), device="cuda")) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        assert worker.device.endswith("/cuda:0")
        pool.submit(worker, ticket(0), training_task())
        cluster.remove_node(node, allow_graceful=graceful)
        events = gather(pool, lambda events: len(events) == 3)
        add_node(num_cpus=1, num_gpus=1)
        came, heir = gather(pool, lambda events: len(events) == 2)
    (left,) = (event for event in events if isinstance(event, WorkerLeft))
    assert (left.worker, left.kind, left.node_lost) == (worker, FailureKind.WORKER_LOST, True)
    lines = [event.text for event in events if isinstance(event, PoolChanged)]
    assert lines[0].startswith(f"node {worker.node} left: ")
    assert lines[1:] == ["waiting for nodes: none of the cluster has room for a worker now"]
    assert isinstance(heir, WorkerJoined)
    assert heir.worker.name != worker.name
    assert came == PoolChanged(f"node {heir.worker.node} joined with room for 1 worker")


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (operator.truediv, "TypeError: unsupported operand"),  # called with (data, device)
        (Sent(operator.truediv, (1, 0)), "ZeroDivisionError: division by zero"),
    ],
)
def test_an_actor_that_never_becomes_ready_ends_the_pool_and_says_why(
    cluster: Any, factory: EvaluatorFactory, message: str
) -> None:
    with closing(_pool(cluster, factory, count=1)) as pool:
        pool.start()
        with pytest.raises(
            CannotRunError, match=f"no Ray worker became ready, 3 times in a row: .*{message}"
        ):
            gather(pool, bool)


def test_a_worker_that_no_node_can_hold_cannot_run_and_more_than_all_can_hold_are_as_many_as_they_can(
    cluster: Any,
) -> None:
    settings = WorkerSettings(address=cluster.address)
    too_wide = RayPool(FormulaEvaluator(), tiny_data(), settings, threads=3)
    with pytest.raises(CannotRunError, match=r"a worker needs 3 cores on one node, .* has 2 cores"):
        too_wide.start()
    too_wide.close()
    assert not ray.is_initialized()
    with closing(_pool(cluster, FormulaEvaluator(), count=5)) as pool:
        pool.start()
        joined(pool, 2)
        assert not pool.poll(0.5)


def test_a_killed_worker_has_left_within_a_second(cluster: Any) -> None:
    with closing(_pool(cluster, FormulaEvaluator(seconds=600), count=1)) as pool:
        before = _actors()
        pool.start()
        (doomed,) = joined(pool, 1)
        pool.submit(doomed, ticket(0), training_task())
        assert gather(pool, bool) == [WorkerProgressed(doomed)]
        for pid in _actors() - before:
            psutil.Process(pid).kill()
        killed = time.monotonic()
        left, *_ = gather(pool, bool)
        assert time.monotonic() - killed < 1
        assert isinstance(left, WorkerLeft)
        assert (left.worker, left.kind) == (doomed, FailureKind.CRASHED)


def test_a_frozen_worker_is_stopped_although_it_does_not_answer(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handle, "STACK_SECONDS", 0.5)
    with closing(_pool(cluster, FormulaEvaluator(seconds=600), count=1)) as pool:
        before = _actors()
        pool.start()
        (worker,) = joined(pool, 1)
        pool.submit(worker, ticket(0), training_task())
        for pid in _actors() - before:
            psutil.Process(pid).suspend()
        start = time.monotonic()
        pool.stop(worker, FailureKind.WORKER_LOST, "made no step for 600 s")
        assert time.monotonic() - start < 2
        left, heir = gather(pool, lambda events: len(events) == 2)
    message = "made no step for 600 s; it did not answer when asked where it was"
    assert left == WorkerLeft(worker, FailureKind.WORKER_LOST, message)
    assert isinstance(heir, WorkerJoined)


def test_an_actor_that_died_idle_is_missed_without_any_task(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_pool, "PULSE_SECONDS", 0.2)
    with closing(_pool(cluster, FormulaEvaluator(), count=1)) as pool:
        before = _actors()
        pool.start()
        (worker,) = joined(pool, 1)
        for pid in _actors() - before:
            psutil.Process(pid).kill()
        left, heir = gather(pool, lambda events: len(events) == 2)
    assert isinstance(left, WorkerLeft)
    assert (left.worker, left.kind, left.node_lost) == (worker, FailureKind.WORKER_LOST, False)
    assert isinstance(heir, WorkerJoined)


def test_a_node_of_another_version_cannot_run_the_search(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"python": "3.9.1", "evosearch": "9.9", "ray": "2.0", "torch": "2.2"}
    monkeypatch.setattr(preflight, "find_versions", lambda: dict(found))
    with closing(_pool(cluster, FormulaEvaluator(), count=1)) as pool:
        pool.start()
        with pytest.raises(
            CannotRunError, match=r"node .* has python 3\.\d+\.\d+, .* runs with 3\.9\.1; install"
        ):
            gather(pool, bool)


def test_an_actor_that_died_idle_is_lost_and_not_the_crash_of_its_next_task(cluster: Any) -> None:
    with closing(_pool(cluster, FormulaEvaluator(), count=1)) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        victims = [psutil.Process(pid) for pid in _actors()]
        for victim in victims:
            victim.kill()
        assert not psutil.wait_procs(victims, timeout=10)[1]
        pool.submit(worker, ticket(0), training_task())
        left, heir = gather(pool, lambda events: len(events) == 2)
    assert isinstance(left, WorkerLeft)
    assert (left.worker, left.kind, left.node_lost) == (worker, FailureKind.WORKER_LOST, False)
    assert isinstance(heir, WorkerJoined)


def test_a_slot_that_cannot_start_is_given_up_with_a_word_while_another_works(
    cluster: Any, tmp_path: Path
) -> None:
    with closing(_pool(cluster, FirstOnly(str(tmp_path)), count=2)) as pool:
        pool.start()
        events = gather(pool, lambda events: len(events) == 2)
        (worker,) = (event.worker for event in events if isinstance(event, WorkerJoined))
        (told,) = (event.text for event in events if isinstance(event, PoolChanged))
        assert "gave up a slot whose worker died 3 times while it started: FileExistsError" in told
        pool.submit(worker, ticket(0), training_task())
        assert [type(event) for event in gather(pool, bool)] == [TaskDone]


def test_news_of_one_moment_is_told_in_the_order_in_which_it_came_about() -> None:
    """A worker that joined and left is gone; told the other way round it would be given work for ever."""
    worker = Worker("one-1", "one/cpu")
    left = WorkerLeft(worker, FailureKind.WORKER_LOST, "its node is draining")
    assert _worth_telling([WorkerJoined(worker), left]) == [WorkerJoined(worker), left]
    assert _worth_telling([WorkerProgressed(worker), left]) == [left]
