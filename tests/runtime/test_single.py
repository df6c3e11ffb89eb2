"""One task on an ordinary worker."""

from dataclasses import replace

import numpy as np
import pytest

from evosearch.errors import InterruptedSearchError, TooManyFailuresError
from evosearch.evaluation import FailureKind, Prediction, PredictionTask, Success
from evosearch.runtime import Silence, SingleTasks, Surroundings
from evosearch.testing import FailingEvaluator, FormulaEvaluator, Script, ScriptedPool, Victims
from tests.runtime.small_search import MemoryLogbook


def tasks_on(evaluator, script=None, reason=lambda: None):
    pool = ScriptedPool(evaluator, script)
    pool.start()
    world = Surroundings(pool, {"small": MemoryLogbook()}, lambda: 0.0, reason, Silence())
    return SingleTasks("small", world), pool


@pytest.fixture
def request_(plan):
    first = plan.strategy.ask(plan.strategy.start())[0]
    return plan.task(replace(first, repeat=1))


def test_one_task_after_another_on_the_same_worker(request_):
    tasks, pool = tasks_on(FormulaEvaluator())
    assert isinstance(tasks.run(0, lambda _: request_)[1], Success)
    images = np.zeros((3, 1, 8, 8), np.uint8)
    reading = PredictionTask(request_.network, request_.settings, "data", "weights", images)
    _, predicted = tasks.run(0, lambda _: reading)
    assert isinstance(predicted, Prediction)
    assert predicted.probabilities.shape == (3, 2)
    assert [ticket.attempt for ticket in pool.submitted] == [1, 1]


def test_a_lost_worker_is_replaced_and_the_task_tried_again(request_):
    tasks, pool = tasks_on(FormulaEvaluator(), Script(losses={(0, 1): FailureKind.WORKER_LOST}))
    assert isinstance(tasks.run(0, lambda _: request_)[1], Success)
    assert [ticket.attempt for ticket in pool.submitted] == [1, 2]


def test_a_task_may_lose_its_node_as_often_as_nodes_go_away(request_):
    outages = frozenset((0, attempt) for attempt in range(1, 8))
    tasks, pool = tasks_on(FormulaEvaluator(), Script(outages=outages))
    assert tasks.run(0, lambda _: request_)[0] == 8
    assert [ticket.attempt for ticket in pool.submitted] == list(range(1, 9))


def test_a_task_that_fails_for_good_says_why(request_):
    tasks, _ = tasks_on(FailingEvaluator(Victims(every=1), kind=FailureKind.DIVERGED))
    with pytest.raises(
        TooManyFailuresError,
        match="candidate 0 of 'small' failed as diverged in attempt 1; the last one: fails",
    ):
        tasks.run(0, lambda _: request_)


def test_a_stop_is_heard_between_two_polls(request_):
    tasks, _ = tasks_on(FormulaEvaluator(), reason=lambda: "SIGTERM")
    with pytest.raises(InterruptedSearchError, match="stopped by SIGTERM"):
        tasks.run(0, lambda _: request_)
