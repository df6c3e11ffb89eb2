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


NO_GPU = "workers.per_gpu: auto changes nothing here, where no GPU is used"


def make_pool(
    executor: Literal["ray", "local"],
    settings: "WorkerSettings",
    threads: int,
    factory: "EvaluatorFactory",
    data: "SearchData",
    reach: "Reach | None" = None,
    most: int | None = None,
    peak: int | None = None,
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
        peak: bytes that the largest training is expected to take of a device; None: nothing is predicted. It counts where
            `workers.per_gpu` is auto.

    Raises:
        CannotRunError: this machine does not hold the workers; of a cluster, `start` says so.
    """
    from workers.packing import Packing, Sharing

    packing = Packing.of(data, peak, threads) if settings.per_gpu == "auto" else None
    if executor == "ray":
        from workers.ray_pool.pool import RayPool

        if most is not None:
            settings = replace(settings, count=min(most, settings.count or most))
        return RayPool(factory, data, settings, threads, reach, packing)
    from workers.process_pool.pool import ProcessPool
    from workers.slots import count_cores, gpus_for, kind_of, plan_slots
    from workers.worker.service import Upkeep

    cores = count_cores()
    slots = plan_slots(settings, threads, gpus_for(settings.device), cores)[:most]
    if packing is None or kind_of(slots) == "cpu":
        return ProcessPool(factory, data, slots, Upkeep.of(settings), notice=NO_GPU if packing else "")
    bounds = [one for one in (settings.count, most) if one is not None]
    sharing = Sharing(packing, cores, [slot.device for slot in slots], min(bounds, default=None))
    return ProcessPool(factory, data, slots, Upkeep.of(settings), sharing)
