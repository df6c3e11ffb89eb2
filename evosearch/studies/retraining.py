"""The final step: the best chromosome trained anew, and the test split read once by what came of it."""

from dataclasses import dataclass, replace
from pathlib import Path

from evosearch.data import Dataset
from evosearch.evaluation import Candidate, Origin, Prediction, PredictionTask, Success, TrainingTask, Trial
from evosearch.genome import Chromosome
from evosearch.runtime import Logbook, Plan, SingleTasks
from evosearch.storage import TestRead, TestReadingBegun
from evosearch.studies.metrics import classification_metrics

REPEAT = 1
"""Repeat 0 is the search's own training; another one gives the retraining a seed of its own."""


@dataclass(frozen=True)
class Retraining:
    """What is to be trained anew: candidate `number` with `chromosome`, by `task`."""

    number: int
    chromosome: Chromosome
    task: TrainingTask

    @classmethod
    def of(cls, plan: Plan, number: int, chromosome: Chromosome, epochs: int) -> "Retraining":
        """The retraining of a search's best for `epochs` epochs; equal arguments give an equal one."""
        trial = Trial(number, Candidate(number, 0, chromosome, Origin.LISTED), repeat=REPEAT)
        task = plan.task(trial)
        assert isinstance(task, TrainingTask)  # noqa: S101 - of a network
        return cls(number, chromosome, replace(task, settings=replace(task.settings, epochs=epochs)))

    @property
    def key(self) -> str:
        """Names its reading of the test split within the search: candidate, epochs and seed."""
        return f"candidate-{self.number}-epochs-{self.task.settings.epochs}-seed-{self.task.seed}"


def retrain_best(
    retraining: Retraining, dataset: Dataset, tasks: SingleTasks, logbook: Logbook, folder: str
) -> TestRead:
    """Train, then send the test images to the trained network, and journal intent and result of that reading.

    `folder`: the search's own for artifacts, a path or URL; the weights are left in `final/KEY/` below it, named by term and attempt.

    Returns: the reading as journaled; `weights` is relative to `folder`.

    Raises:
        TooManyFailuresError, InterruptedSearchError: as `SingleTasks.run`; the test split has then not been read,
        or its result was journaled.
    """

    def weights(attempt: int) -> Path:
        return Path("final") / retraining.key / f"term-{tasks.term}-attempt-{attempt}.safetensors"

    task = retraining.task
    attempt, trained = tasks.run(
        retraining.number, lambda attempt: replace(task, weights=f"{folder}/{weights(attempt).as_posix()}")
    )
    if not isinstance(trained, Success):
        raise TypeError(f"a training ends in a Success, found {trained!r}")
    settings = task.settings
    logbook.append([TestReadingBegun(retraining.key, retraining.number, settings.epochs, task.seed)])
    reading = PredictionTask(
        retraining.chromosome,
        settings,
        task.data_key,
        f"{folder}/{weights(attempt).as_posix()}",
        dataset.test.images,
    )
    _, predicted = tasks.run(retraining.number, lambda _: reading)
    if not isinstance(predicted, Prediction):
        raise TypeError(f"a prediction ends in a Prediction, found {predicted!r}")
    metrics = classification_metrics(dataset.test.labels, predicted.probabilities, dataset.classes)
    measured = {**metrics.to_json(), "validation_accuracy": trained.fitness, "seconds": trained.seconds}
    read = TestRead(retraining.key, measured, weights(attempt).as_posix())
    logbook.append([read])
    return read
