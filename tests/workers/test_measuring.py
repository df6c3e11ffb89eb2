"""What trainings would take, from a few steps of some of them."""

from dataclasses import replace
from itertools import count

import pytest

from evosearch.errors import CannotRunError
from evosearch.evaluation import Failure, FailureKind
from evosearch.testing import FormulaEvaluator, Script, ScriptedPool
from tests.runtime.small_search import make_plan
from workers.measuring import MEASURE_SECONDS, START_SECONDS, time_trainings

PLAN = make_plan()
TASKS = [PLAN.task(trial) for trial in PLAN.strategy.ask(PLAN.strategy.start())]


ABLE = Script(precisions=(("fp32", "bf16"),))


class Timer:
    """Tells 1 second of the first task, 2 of the next, and so on."""

    def __init__(self):
        self.seconds = count(1)

    def handle(self, task, *_):
        return replace(FormulaEvaluator().handle(task), seconds=float(next(self.seconds)))


class Closing(ScriptedPool):
    closed = False

    def close(self):
        self.closed = True
        super().close()


def test_every_task_is_measured_once_and_the_pool_is_closed():
    pool = Closing(Timer(), Script(workers=3))
    timed = time_trainings(pool, TASKS)
    assert sorted(timed.seconds) == list(range(len(TASKS)))
    assert sorted(timed.seconds.values()) == [float(one) for one in range(1, len(TASKS) + 1)]
    assert (timed.workers, timed.device_memory, pool.closed) == (3, None, True)


def test_what_fails_is_left_out():
    losses = {(0, 1): FailureKind.CRASHED}
    assert sorted(time_trainings(Closing(Timer(), Script(losses=losses)), TASKS).seconds) == list(
        range(1, len(TASKS))
    )


def test_measuring_ends_in_time_with_what_there_is():
    clock = count(0.0, MEASURE_SECONDS / 3)
    timed = time_trainings(Closing(Timer()), TASKS, lambda: next(clock))
    assert 0 < len(timed.seconds) < len(TASKS)


class Failing:
    def handle(self, task, *_):
        return Failure(FailureKind.ERROR, "no such kernel")


class Empty(Closing):
    def poll(self, timeout):
        return []


def test_where_no_worker_was_ready_that_is_said():
    pool, clock = Empty(Timer()), count(0.0, 1.0)
    with pytest.raises(CannotRunError, match=f"no worker was ready after {START_SECONDS:.0f} s"):
        time_trainings(pool, TASKS, lambda: next(clock))
    assert pool.closed


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        (Closing(Failing(), ABLE), "no such kernel"),
        (
            Closing(Timer(), replace(ABLE, hangs=frozenset({(0, 1)}))),
            f"a step takes more than {MEASURE_SECONDS:.0f} s",
        ),
    ],
    ids=["fails", "too slow"],
)
def test_where_nothing_was_measured_the_reason_is_told_and_what_auto_means_all_the_same(pool, message):
    clock = count(0.0, 1.0)
    timed = time_trainings(pool, TASKS, lambda: next(clock))
    assert (timed.trouble, timed.precision, pool.closed) == (message, "bf16", True)


def test_a_worker_that_has_no_tf32_measures_none_and_where_none_has_it_that_is_said():
    tasks = [replace(task, settings=replace(task.settings, precision="tf32")) for task in TASKS]
    lacks, has = ("fp32", "bf16"), ("fp32", "tf32", "bf16")
    pool = Closing(Timer(), Script(2, processors=("a CPU",), precisions=(lacks,)))
    timed = time_trainings(pool, tasks)
    assert timed.trouble.startswith(
        "no worker of this machine has tf32 (a CPU), so that a search here ends with"
    )
    assert (timed.seconds, pool.submitted, pool.closed) == ({}, [], True)
    mixed = time_trainings(Closing(Timer(), Script(2, precisions=(lacks, has))), tasks)
    assert (len(mixed.seconds), mixed.trouble) == (len(tasks), "")
