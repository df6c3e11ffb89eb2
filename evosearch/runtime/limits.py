"""Whether what a configuration allows can be trained on the devices there are."""

from collections.abc import Sequence

from evosearch.blueprint import SizeLimits
from evosearch.errors import CannotRunError
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
