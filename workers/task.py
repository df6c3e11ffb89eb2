"""One task inside a worker process; whatever happens becomes a value."""

import time
from dataclasses import dataclass

from evosearch.evaluation import UNWATCHED, Evaluator, Progress, Result, Task
from workers.classify import classify, describe, poisons_process


@dataclass(frozen=True, slots=True)
class Broken:
    """The worker cannot go on: its evaluator could not be made, or an error left the process unusable."""

    message: str


def run_task(evaluator: Evaluator, task: Task, progress: Progress = UNWATCHED) -> Result | Broken:
    """Let `evaluator` handle the task; an exception becomes a `Failure`, or `Broken` where the process must end with it."""
    start = time.perf_counter()
    try:
        return evaluator.handle(task, progress)
    except Exception as error:
        if poisons_process(error):
            return Broken(describe(error))
        return classify(error, time.perf_counter() - start)
