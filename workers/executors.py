"""The pool for an executor, and the evaluator of its workers; ray and torch are imported only where they are used."""

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from evosearch.data import SearchData
from evosearch.evaluation import Evaluator

if TYPE_CHECKING:  # a worker process imports this package, and needs neither the driver nor its journal
    from evosearch.data import SearchData
    from evosearch.runtime import EvaluatorFactory, WorkerPool, WorkerSettings
    from workers.worker.preflight import Reach


def train_on(data: SearchData, device: str) -> Evaluator:
    """A `Trainer` that holds `data` on `device`, where a step has just been tried, and captured ones compared with eager ones; an
    `EvaluatorFactory`.

    Raises:
        EvaluationError: the step went wrong.
    """
    # torch is imported here, in the worker: the driver needs none, and a class whose module has imported torch 2.11
    # or newer cannot be sent to a Ray actor (ray-project/ray#35001)
    from evosearch.training import Trainer, probe, recorder_for

    probe(data, device)
    return Trainer(data, device, make_recorder=recorder_for(data, device))


def make_pool(
    executor: Literal["ray", "local"],
    settings: "WorkerSettings",
    threads: int,
    factory: "EvaluatorFactory",
    data: "SearchData",
    reach: "Reach | None" = None,
    most: int | None = None,
) -> "WorkerPool":
    """A pool that has not been started; close it even if its start fails.

    Args:
        executor: ray: actors on a Ray cluster. local: processes of this machine.
        settings: how many workers, and where.
        threads: threads of each worker, `training.threads`.
        factory: makes the evaluator in each worker.
        data: what every worker holds.
        reach: says on each node of a cluster whether the artifact store can be reached from there.
        most: for more workers than this there is no work, whatever the settings and devices hold; None: for any number.

    Raises:
        CannotRunError: this machine does not hold the workers; of a cluster, `start` says so.
    """
    if executor == "ray":
        from workers.ray_pool.pool import RayPool

        if most is not None:
            settings = replace(settings, count=min(most, settings.count or most))
        return RayPool(factory, data, settings, threads, reach)
    from workers.process_pool.pool import ProcessPool
    from workers.slots import count_cores, gpus_for, plan_slots
    from workers.worker.service import Upkeep

    slots = plan_slots(settings, threads, gpus_for(settings.device), count_cores())[:most]
    return ProcessPool(factory, data, slots, Upkeep.of(settings))
