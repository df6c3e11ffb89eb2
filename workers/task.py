"""One task inside a worker process; whatever happens becomes a value."""

import time
from dataclasses import dataclass
from typing import TypeAlias

from evosearch.evaluation import EvaluationRequest, Evaluator, Outcome, Prediction, PredictionRequest
from workers.classify import classify, describe, poisons_process


@dataclass(frozen=True, slots=True)
class Broken:
    """The worker cannot go on: its evaluator could not be made, or an error left the process unusable."""

    message: str


Reply: TypeAlias = Outcome | Prediction | Broken


def run_task(evaluator: Evaluator, task: EvaluationRequest | PredictionRequest) -> Reply:
    """Evaluate or predict; an exception becomes a `Failure`, or `Broken` where the process must end with it."""
    start = time.perf_counter()
    try:
        if isinstance(task, PredictionRequest):
            return evaluator.predict(task)
        return evaluator.evaluate(task)
    except Exception as error:
        if poisons_process(error):
            return Broken(describe(error))
        return classify(error, time.perf_counter() - start)
