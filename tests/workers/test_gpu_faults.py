"""What a real GPU does to a worker that asks too much of it, and to workers that share it."""

import shutil
from contextlib import closing

import pytest
import torch

from evosearch.evaluation import Failure, FailureKind, Success
from evosearch.runtime import EvaluatorFactory, PoolEvent, TaskDone, WorkerJoined, WorkerLeft, WorkerSettings
from evosearch.testing import FormulaEvaluator
from evosearch.testing.pool_contract import BAD, gather, joined, ticket, tiny_data, training_task
from tests.workers.gpu_faults import Asserting, AssertingForOne, TooLarge
from workers import train_on
from workers.mps import CONTROL
from workers.process_pool.pool import ProcessPool
from workers.slots import Slot
from workers.worker.service import Upkeep

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU"),
]


def _pool(factory: EvaluatorFactory, workers: int = 1) -> ProcessPool:
    return ProcessPool(factory, tiny_data(), [Slot("cuda:0", 1)] * workers, Upkeep.of(WorkerSettings()))


NEEDS_MPS = pytest.mark.skipif(shutil.which(CONTROL) is None, reason=f"there is no {CONTROL} here")


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


@NEEDS_MPS
def test_trainings_that_share_a_gpu_through_mps_come_to_the_bits_that_each_comes_to_alone() -> None:
    tasks = [training_task(network, seed) for network in ("C8 P | F16", "C16 B12 P | F32") for seed in (1, 2)]
    found = []
    for workers in (1, len(tasks)):
        with closing(_pool(train_on, workers)) as pool:
            pool.start()
            there = joined(pool, workers)
            assert all(worker.mps == (workers > 1) for worker in there), "the pool says why not"
            results = {}
            waiting = list(enumerate(tasks))
            while len(results) < len(tasks):
                for worker in there:
                    if waiting:
                        number, task = waiting.pop(0)
                        pool.submit(worker, ticket(number), task)
                done = [event for event in gather(pool, _some_ended) if isinstance(event, TaskDone)]
                results |= {event.ticket.number: event.result for event in done}
                there = [event.worker for event in done]
            found.append([results[number] for number, _ in enumerate(tasks)])
    for alone, packed in zip(*found, strict=True):
        assert isinstance(alone, Success)
        assert isinstance(packed, Success)
        assert (packed.fitness, packed.curve, packed.measures) == (alone.fitness, alone.curve, alone.measures)


def _some_ended(events: list[PoolEvent]) -> bool:
    return any(isinstance(event, TaskDone) for event in events)


@NEEDS_MPS
def test_a_fault_of_one_that_shares_a_gpu_through_mps_ends_all_and_their_heirs_can_work() -> None:
    with closing(_pool(AssertingForOne(FormulaEvaluator(seconds=600)), 3)) as pool:
        pool.start()
        guilty, *others = joined(pool, 3)
        for worker in others:
            pool.submit(worker, ticket(0), training_task())
        pool.submit(guilty, ticket(1), training_task(BAD))
        left = gather(pool, lambda events: sum(isinstance(one, WorkerLeft) for one in events) == 3)
        heir, *_ = joined(pool, 3)
        assert heir.mps
    kinds = {event.worker: event.kind for event in left if isinstance(event, WorkerLeft)}
    assert kinds[guilty] is FailureKind.CRASHED
    assert {kinds[worker] for worker in others} == {FailureKind.WORKER_LOST}
