"""Whether what a configuration allows can be trained on the devices there are, and read where it was trained."""

from collections.abc import Sequence

from evosearch.blueprint import SizeLimits
from evosearch.errors import CannotRunError
from evosearch.runtime.plan import Plan
from evosearch.runtime.pool import Worker
from evosearch.runtime.room import CONTEXT

GIB = 2**30


def check_limits(limits: SizeLimits, workers: Sequence[Worker], *, all_there: bool) -> bool:
    """Hold `space.max_memory` against the largest device; on CPUs, and without that limit, nothing can be said.

    Returns: whether work may be given out; not yet where a larger device may still come, since not `all_there`.

    Raises:
        CannotRunError: not even the largest device, alone, holds a network of that size; the message has the numbers.
    """
    if limits.max_memory is None or any(worker.memory is None for worker in workers):
        return True
    known = [(worker.memory or 0, worker.device) for worker in workers]
    memory, device = max(known, default=(0, ""))
    if limits.max_memory <= memory - CONTEXT:
        return True
    if known and all_there:
        raise CannotRunError(
            f"space.max_memory allows networks of {limits.max_memory / GIB:.1f} GiB, but the largest device, {device}, "
            f"has {memory / GIB:.1f} GiB, {CONTEXT / GIB:.2f} of them for CUDA itself; lower space.max_memory"
        )
    return False


def check_readings(plan: Plan, workers: Sequence[Worker], *, all_there: bool) -> bool:
    """See that whoever reads the test split finds the weights of what was trained: several networks that are trained on
    several machines leave them where each of these, and the next driver's, reaches them.

    Returns: whether work may be given out; not yet where workers on another machine may still come.

    Raises:
        CannotRunError: there are several machines, and no place that all of them reach.
    """
    if plan.reader is None or plan.reader.shared or plan.strategy.evaluations == 1:
        return True
    nodes = sorted({worker.node for worker in workers})
    if len(nodes) > 1:
        raise CannotRunError(
            f"the {plan.strategy.evaluations} trainings of {plan.name!r} would leave their weights on the disks of "
            f"{len(nodes)} nodes ({', '.join(nodes)}), each on its own; set storage.artifacts to a URL or to a folder "
            "that all nodes share (`evosearch run CONFIG` journals it), or workers.count to 1"
        )
    return all_there
