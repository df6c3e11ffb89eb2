"""Whether what a configuration allows can be trained on the devices there are."""

from collections.abc import Sequence

from evosearch.blueprint import Limits
from evosearch.errors import CannotRunError
from evosearch.runtime.pool import Worker
from evosearch.runtime.scheduling import CONTEXT

GIB = 2**30


def check_limits(limits: Limits, workers: Sequence[Worker]) -> None:
    """Hold `space.max_memory` against the largest device; on CPUs, and without that limit, nothing can be said.

    Raises:
        CannotRunError: not even the largest device, alone, holds a network of that size; the message has the numbers.
    """
    known = [(worker.memory, worker.device) for worker in workers if worker.memory is not None]
    if not known or limits.max_memory is None:
        return
    memory, device = max(known)
    if limits.max_memory > memory - CONTEXT:
        raise CannotRunError(
            f"space.max_memory allows networks of {limits.max_memory / GIB:.1f} GiB, but the largest device, {device}, "
            f"has {memory / GIB:.1f} GiB, {CONTEXT / GIB:.2f} of them for CUDA itself; lower space.max_memory"
        )
