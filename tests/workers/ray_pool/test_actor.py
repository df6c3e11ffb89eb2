import os
from collections.abc import Iterator

import pytest

from evosearch.evaluation import Success
from evosearch.testing.evaluators import FormulaEvaluator
from evosearch.testing.pool_contract import tiny_data, training_task
from workers.ray_pool.actor import Beat, Position, WorkerActor
from workers.worker.service import UNLIMITED, Broken, Done, Ready


@pytest.fixture(autouse=True)
def _environment_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as context:
        context.setattr(os, "environ", dict(os.environ))
        yield


def _actor(threads: int = 1) -> WorkerActor:
    return WorkerActor(FormulaEvaluator(), tiny_data(), threads, UNLIMITED)


def test_an_actor_holds_numeric_libraries_to_its_threads_before_anything_is_imported() -> None:
    _actor(threads=3)
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_an_actor_that_was_never_prepared_is_broken_and_stands_nowhere() -> None:
    assert isinstance(_actor().run(training_task()), Broken)
    assert _actor().pulse() == Beat(0)
    assert _actor().position() == Position("no evaluator is made", "")


def test_an_actor_whose_evaluator_cannot_be_made_says_why() -> None:
    actor = WorkerActor(lambda data, device: 1 / 0, tiny_data(), 1, UNLIMITED)  # type: ignore[arg-type, return-value] # no factory, on purpose
    assert "ZeroDivisionError" in actor.prepare("cpu").message  # type: ignore[union-attr] # it is broken


def test_a_prepared_actor_evaluates_and_its_pulse_moves() -> None:
    actor = _actor()
    ready = actor.prepare("cpu")
    assert ready == Ready(None, ready.processor, ready.precisions)
    before = actor.pulse().beats
    reply = actor.run(training_task())
    assert isinstance(reply, Done)
    assert isinstance(reply.result, Success)
    assert actor.pulse().beats > before
    assert not actor.position().place.startswith("evosearch"), "no task runs"


def test_an_actor_answers_a_ping() -> None:
    assert _actor().ping() is None
