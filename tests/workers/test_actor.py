import os
from collections.abc import Iterator

import pytest

from evosearch.testing.evaluators import FormulaEvaluator
from evosearch.testing.pool_contract import request, tiny_data
from workers.actor import WorkerActor
from workers.task import Broken


@pytest.fixture(autouse=True)
def _environment_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as context:
        context.setattr(os, "environ", dict(os.environ))
        yield


def test_an_actor_holds_numeric_libraries_to_its_threads_before_anything_is_imported() -> None:
    WorkerActor(FormulaEvaluator(), tiny_data(), threads=3)
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_an_actor_that_was_never_prepared_is_broken() -> None:
    assert isinstance(WorkerActor(FormulaEvaluator(), tiny_data(), 1).run(request()), Broken)


def test_an_actor_answers_a_ping() -> None:
    assert WorkerActor(FormulaEvaluator(), tiny_data(), 1).ping() is None
