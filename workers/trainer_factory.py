"""The evaluator of real searches, made inside a worker."""

from evosearch.data import SearchData
from evosearch.evaluation import Evaluator


def train_on(data: SearchData, device: str) -> Evaluator:
    """A `Trainer` that holds `data` on `device`, where a step has just been tried; an `EvaluatorFactory`.

    Raises:
        EvaluationError: the step went wrong.
    """
    # torch is imported here, in the worker: the driver needs none, and a class whose module has imported torch 2.11
    # or newer cannot be sent to a Ray actor (ray-project/ray#35001)
    from evosearch.training import Trainer, probe

    probe(data, device)
    return Trainer(data, device)
