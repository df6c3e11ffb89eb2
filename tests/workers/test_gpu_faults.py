"""What a real GPU does to a worker that asks too much of it."""

from contextlib import closing

import pytest
import torch

from evosearch.evaluation import Failure, FailureKind, Success
from evosearch.runtime import EvaluatorFactory, TaskDone, WorkerJoined, WorkerLeft
from evosearch.testing.pool_contract import gather, joined, ticket, tiny_data, training_task
from tests.workers.gpu_faults import Asserting, TooLarge
from workers.process_pool.pool import ProcessPool
from workers.slots import Slot

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU"),
]


def _pool(factory: EvaluatorFactory) -> ProcessPool:
    return ProcessPool(factory, tiny_data(), [Slot("cuda:0", 1)])


def test_memory_that_runs_out_is_a_failure_and_the_worker_lives_on() -> None:
    with closing(_pool(TooLarge())) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        results = []
        for number in range(2):
            pool.submit(worker, ticket(number), training_task())
            (done,) = gather(pool, lambda events: any(isinstance(event, TaskDone) for event in events))
            assert isinstance(done, TaskDone)
            results.append(done.result)
    assert isinstance(results[0], Failure)
    assert results[0].kind is FailureKind.OUT_OF_MEMORY
    assert isinstance(results[1], Success)


def test_an_assertion_of_a_kernel_ends_the_process_and_another_one_takes_its_place() -> None:
    with closing(_pool(Asserting())) as pool:
        pool.start()
        (worker,) = joined(pool, 1)
        pool.submit(worker, ticket(0), training_task())
        left, heir = gather(pool, lambda events: len(events) == 2)
    assert isinstance(left, WorkerLeft)
    assert (left.worker, left.kind) == (worker, FailureKind.CRASHED)
    assert "CUDA error" in left.message
    assert isinstance(heir, WorkerJoined)
