from contextlib import closing
from typing import Any

import pytest
import torch

from evosearch.errors import EvaluationError
from evosearch.evaluation import Outcome, Success
from evosearch.runtime import TaskDone, WorkerPool, WorkerSettings
from evosearch.testing.pool_contract import gather, joined, ticket, tiny_data, training_task
from workers import make_pool, train_on
from workers.worker.classify import describe


def _trained_by(pool: WorkerPool) -> Outcome:
    with closing(pool):
        pool.start()
        (worker,) = joined(pool, 1)
        pool.submit(worker, ticket(0), training_task())
        (done,) = gather(pool, bool)
    assert isinstance(done, TaskDone)
    assert isinstance(done.result, Success)
    return done.result


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU that shall be missing")
def test_a_device_that_does_not_work_is_found_before_the_first_evaluation_in_one_line() -> None:
    with pytest.raises(EvaluationError) as caught:
        train_on(tiny_data(), "cuda:0")
    message = describe(caught.value)
    assert message.startswith("the probe step failed: ")
    assert "\n" not in message


@pytest.mark.ray
def test_a_training_gives_the_same_bits_in_this_process_and_in_a_worker_of_each_pool(cluster: Any) -> None:
    settings = WorkerSettings(count=1, address=cluster.address)
    here = train_on(tiny_data(), "cpu").handle(training_task())
    local = _trained_by(make_pool("local", settings, 1, train_on, tiny_data()))
    ray = _trained_by(make_pool("ray", settings, 1, train_on, tiny_data()))
    assert isinstance(here, Success)
    assert here.curve == local.curve == ray.curve
