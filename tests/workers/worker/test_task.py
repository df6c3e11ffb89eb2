import pytest

from evosearch.errors import DivergedError
from evosearch.evaluation import Failure, FailureKind, Success
from evosearch.testing.evaluators import FailingEvaluator, FormulaEvaluator, RaisingEvaluator, Victims
from evosearch.testing.pool_contract import training_task
from workers.worker.service import Broken, ProgressCounter, run_task

ALL = Victims(every=1)


def test_an_outcome_passes_as_it_is() -> None:
    assert isinstance(run_task(FormulaEvaluator(), training_task()), Success)
    failure = run_task(FailingEvaluator(ALL, kind=FailureKind.DIVERGED), training_task())
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.DIVERGED


def test_an_exception_becomes_a_failure_of_its_kind_with_the_time_until_then() -> None:
    failure = run_task(RaisingEvaluator(ALL, error=DivergedError("the loss became nan")), training_task())
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.DIVERGED
    assert "the loss became nan" in failure.message
    assert failure.seconds > 0


def test_a_task_tells_its_progress() -> None:
    watch = ProgressCounter(None)
    run_task(FormulaEvaluator(), training_task(), watch)
    assert watch.beats == 1


def test_an_error_that_ruins_the_process_makes_it_broken() -> None:
    error = RuntimeError("CUDA error: device-side assert triggered")
    reply = run_task(RaisingEvaluator(ALL, error=error), training_task())
    assert isinstance(reply, Broken)
    assert "device-side assert" in reply.message


def test_what_is_meant_to_end_the_process_is_not_caught() -> None:
    with pytest.raises(KeyboardInterrupt):
        run_task(RaisingEvaluator(ALL, error=KeyboardInterrupt()), training_task())
