"""Why an evaluation has no fitness."""

from enum import StrEnum


class FailureKind(StrEnum):
    """Why an evaluation has no fitness; the kind decides what happens next."""

    INFEASIBLE = "infeasible"
    """Judged by the blueprint before dispatch."""
    OUT_OF_MEMORY = "out_of_memory"
    """The device or the host had no memory left."""
    DIVERGED = "diverged"
    """The loss became NaN or infinite."""
    TIMED_OUT = "timed_out"
    """A configured time limit passed."""
    WORKER_LOST = "worker_lost"
    """The worker's node or network went away; never held against the chromosome."""
    CRASHED = "crashed"
    """The worker's own process died while its node lived."""
    ERROR = "error"
    """A bug or bad data."""


OUT_OF_MEMORY_TEXTS = (
    "can't allocate memory",
    "CUDA out of memory",
    "CUDA error: out of memory",
    "_STATUS_ALLOC_FAILED",
    "_ALLOCATION_FAILED",
)
"""The CPU's allocator, older CUDA allocators, the driver, cuBLAS and cuDNN raise a plain RuntimeError."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that a device or a host had no memory left; torch and Ray are known by name."""
    if isinstance(error, MemoryError) or "OutOfMemoryError" in (
        base.__name__ for base in type(error).__mro__
    ):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY_TEXTS)
