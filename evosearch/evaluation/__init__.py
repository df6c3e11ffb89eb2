"""What passes between the search and its workers: tasks out, results back.

A *trial* trains one candidate once and measures it on the validation images. Its task is about a
kilobyte; images never travel with it (`data_key` names the arrays a worker already holds). `Evaluator` is
the seam: the real one lives in `training/`, doubles in `testing/`.
"""

from evosearch.evaluation.failures import FailureKind, is_out_of_memory
from evosearch.evaluation.progress import UNWATCHED, EpochRecord, Progress, Unwatched
from evosearch.evaluation.settings import (
    MOST_EPOCHS,
    MOST_THREADS,
    FinalSettings,
    Optimizer,
    TrainingSettings,
)
from evosearch.evaluation.tasks import (
    Checkpoint,
    Evaluator,
    Failure,
    Images,
    Labels,
    Losses,
    MasksTask,
    Measured,
    Outcome,
    Prediction,
    PredictionTask,
    Result,
    Success,
    Task,
    TrainingTask,
    TrialTask,
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
from evosearch.genome import HandMade, Network

__all__ = [
    "MOST_EPOCHS",
    "MOST_THREADS",
    "UNWATCHED",
    "Candidate",
    "Checkpoint",
    "EpochRecord",
    "Evaluator",
    "Failure",
    "FailureKind",
    "FinalSettings",
    "HandMade",
    "Images",
    "Labels",
    "Losses",
    "Masks",
    "MasksTask",
    "Measured",
    "Network",
    "Optimizer",
    "Origin",
    "Outcome",
    "Prediction",
    "PredictionTask",
    "Progress",
    "Result",
    "Subject",
    "Success",
    "Task",
    "TrainingSettings",
    "TrainingTask",
    "Trial",
    "TrialId",
    "TrialTask",
    "Unwatched",
    "evaluation_seed",
    "is_out_of_memory",
    "network_of",
    "parse_subject",
    "trial_key",
]
