"""What passes between the search and its workers: tasks out, outcomes back.

An *evaluation* trains one network once and measures it on the validation images. The task is about a
kilobyte; images never travel with it (`data_key` names the arrays a worker already holds). `Evaluator` is
the seam: the real one lives in `training/`, doubles in `testing/`.
"""

from evosearch.evaluation.failures import FailureKind, is_out_of_memory
from evosearch.evaluation.progress import UNWATCHED, EpochRecord, Progress, Unwatched
from evosearch.evaluation.settings import MOST_THREADS, FinalSettings, Optimizer, TrainingSettings
from evosearch.evaluation.tasks import (
    Evaluator,
    Failure,
    Images,
    Labels,
    Outcome,
    Prediction,
    PredictionTask,
    Success,
    TrainingTask,
    evaluation_seed,
)

__all__ = [
    "MOST_THREADS",
    "UNWATCHED",
    "EpochRecord",
    "Evaluator",
    "Failure",
    "FailureKind",
    "FinalSettings",
    "Images",
    "Labels",
    "Optimizer",
    "Outcome",
    "Prediction",
    "PredictionTask",
    "Progress",
    "Success",
    "TrainingSettings",
    "TrainingTask",
    "Unwatched",
    "evaluation_seed",
    "is_out_of_memory",
]
