"""What passes between the search and its workers: tasks out, outcomes back.

A *trial* trains one candidate once and measures it on the validation images. Its task is about a
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
    Losses,
    Measured,
    Outcome,
    Prediction,
    PredictionTask,
    Success,
    TrainingTask,
)
from evosearch.evaluation.trial import (
    Candidate,
    Masks,
    Origin,
    Subject,
    Trial,
    TrialId,
    evaluation_seed,
    network_of,
    parse_subject,
    trial_key,
)

__all__ = [
    "MOST_THREADS",
    "UNWATCHED",
    "Candidate",
    "EpochRecord",
    "Evaluator",
    "Failure",
    "FailureKind",
    "FinalSettings",
    "Images",
    "Labels",
    "Losses",
    "Masks",
    "Measured",
    "Optimizer",
    "Origin",
    "Outcome",
    "Prediction",
    "PredictionTask",
    "Progress",
    "Subject",
    "Success",
    "TrainingSettings",
    "TrainingTask",
    "Trial",
    "TrialId",
    "Unwatched",
    "evaluation_seed",
    "is_out_of_memory",
    "network_of",
    "parse_subject",
    "trial_key",
]
