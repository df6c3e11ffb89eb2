import operator
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

from evosearch.errors import CannotRunError
from evosearch.evaluation import FailureKind
from evosearch.runtime import EvaluatorFactory, TaskDone, WorkerJoined, WorkerLeft, WorkerPool, WorkerSettings
from evosearch.testing.evaluators import ExitingEvaluator, FormulaEvaluator, RaisingEvaluator, Victims
from evosearch.testing.pool_contract import PoolContract, gather, joined, request, ticket, tiny_data
from tests.workers.sent import FirstOnly, Sent
from workers.ray_pool import RayPool

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

    def make_pool(self, factory: EvaluatorFactory, workers: int) -> WorkerPool:
        return RayPool(factory, tiny_data(), WorkerSettings(count=workers, address=self.address), threads=1)

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
        pool.submit(worker, ticket(0), request())
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
        pool.submit(worker, ticket(0), request())
        left, *_ = gather(pool, bool)
    assert isinstance(left, WorkerLeft)
    assert left.kind is FailureKind.CRASHED
    assert "illegal memory access" in left.message


@pytest.mark.parametrize("graceful", [True, False])
def test_a_worker_whose_node_goes_away_is_lost_and_its_heir_waits_for_another_node(
    cluster: Any, graceful: bool
) -> None:
    node = cluster.add_node(num_cpus=1, num_gpus=1)
    with closing(_pool(cluster, FormulaEvaluator(seconds=600), device="cuda")) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        assert worker.device.endswith("/cuda:0")
        pool.submit(worker, ticket(0), request())
        cluster.remove_node(node, allow_graceful=graceful)
        (left,) = gather(pool, bool)
        node = cluster.add_node(num_cpus=1, num_gpus=1)
        (heir,) = gather(pool, bool)
    cluster.remove_node(node)
    assert isinstance(left, WorkerLeft)
    assert (left.worker, left.kind) == (worker, FailureKind.WORKER_LOST)
    assert isinstance(heir, WorkerJoined)
    assert heir.worker.name != worker.name


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


def test_more_workers_than_the_cluster_has_cores_cannot_run(cluster: Any) -> None:
    too_many = _pool(cluster, FormulaEvaluator(), count=3)
    with pytest.raises(
        CannotRunError, match="3 workers with 1 threads each need 3 cores, but the Ray cluster has 2"
    ):
        too_many.start()
    too_many.close()
    assert not ray.is_initialized()


def test_an_actor_that_died_idle_is_lost_and_not_the_crash_of_its_next_task(cluster: Any) -> None:
    with closing(_pool(cluster, FormulaEvaluator(), count=1)) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        victims = [psutil.Process(pid) for pid in _actors()]
        for victim in victims:
            victim.kill()
        assert not psutil.wait_procs(victims, timeout=10)[1]
        pool.submit(worker, ticket(0), request())
        left, heir = gather(pool, lambda events: len(events) == 2)
    assert isinstance(left, WorkerLeft)
    assert (left.worker, left.kind) == (worker, FailureKind.WORKER_LOST)
    assert isinstance(heir, WorkerJoined)


def test_a_slot_that_cannot_start_is_given_up_with_a_warning_while_another_works(
    cluster: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(_pool(cluster, FirstOnly(str(tmp_path)), count=2)) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        gather(pool, lambda _: "gave up a slot" in caplog.text)
        assert "died 3 times while it started: FileExistsError" in caplog.text
        pool.submit(worker, ticket(0), request())
        assert [type(event) for event in gather(pool, bool)] == [TaskDone]
