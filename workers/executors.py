"""The pool for an executor; ray is imported only where it is chosen."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # a worker process imports this package, and needs neither the driver nor its journal
    from evosearch.data import SearchData
    from evosearch.runtime import EvaluatorFactory, WorkerPool, WorkerSettings
    from workers.preflight import Reach


def make_pool(
    executor: Literal["ray", "local"],
    settings: "WorkerSettings",
    threads: int,
    factory: "EvaluatorFactory",
    data: "SearchData",
    reach: "Reach | None" = None,
) -> "WorkerPool":
    """A pool that has not been started; close it even if its start fails.

    Args:
        executor: ray: actors on a Ray cluster. local: processes of this machine.
        settings: how many workers, and where.
        threads: threads of each worker, `training.threads`.
        factory: makes the evaluator in each worker.
        data: what every worker holds.
        reach: tells on each node of a cluster whether the artifact store can be reached from there.

    Raises:
        CannotRunError: this machine does not hold the workers; of a cluster, `start` tells.
    """
    if executor == "ray":
        from workers.ray_pool import RayPool

        return RayPool(factory, data, settings, threads, reach)
    from workers.machine import count_cores, count_gpus
    from workers.process_pool import ProcessPool
    from workers.service import Upkeep
    from workers.slots import plan_slots

    slots = plan_slots(settings, threads, count_gpus(), count_cores())
    return ProcessPool(factory, data, slots, Upkeep.of(settings))
