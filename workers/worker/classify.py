"""From an exception inside a worker to the `Failure` that the driver sees.

| exception | kind |
|---|---|
| `MemoryError`; `OutOfMemoryError` of torch or Ray; an allocator's `RuntimeError` | OUT_OF_MEMORY |
| `DivergedError` | DIVERGED |
| `TimedOutError` | TIMED_OUT |
| any other | ERROR |
"""

import traceback
from collections.abc import Sequence
from pathlib import Path

import evosearch
from evosearch.errors import DivergedError, EvaluationError, TimedOutError
from evosearch.evaluation import Failure, FailureKind, is_out_of_memory

LONGEST = 400
"""Characters of a message; some of torch's fill a page."""

CUDA_WORDS = (
    "CUDA error:",
    "CUDA driver error:",
    "CUDNN_STATUS_EXECUTION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR",
    "CUDNN_STATUS_MAPPING_ERROR",
    "Error [CUDA]:",
)
"""How torch, cuDNN and Triton say that a kernel failed; other texts of cuDNN speak of the network, not of the GPU."""

MPS_WORDS = ("MPS client", "MPS server")
"""In the texts of CUDA's errors 805 to 810."""

PACKAGES = (Path(evosearch.__file__).parent, Path(__file__).parents[1])


def classify(error: Exception, seconds: float = 0.0) -> Failure:
    """The failure that `error` stands for, in one line with its type and place; `seconds` of wall time until then."""
    return Failure(_kind(error), describe(error), seconds)


def describe(error: BaseException) -> str:
    """Type, message and innermost line of this project in one line; an `EvaluationError` is its message alone."""
    message = " ".join(str(error).split())[:LONGEST]
    if isinstance(error, EvaluationError):
        return message
    place = innermost_place(traceback.extract_tb(error.__traceback__))
    return f"{type(error).__name__}: {message}" + (f" ({place})" if place else "")


def innermost_place(stack: Sequence[traceback.FrameSummary]) -> str:
    """The last frame of `stack` that is code of this project, as "workers/worker/service.py:34"; empty without one."""
    for frame in reversed(stack):
        path = Path(frame.filename)
        for package in PACKAGES:
            if path.is_relative_to(package):
                return f"{path.relative_to(package.parent)}:{frame.lineno}"
    return ""


def poisons_process(error: Exception) -> bool:
    """Whether CUDA's context is lost, so that every later call in this process fails too.

    A device-side assert or an illegal access does it; memory that ran out does not.
    """
    if _kind(error) is FailureKind.OUT_OF_MEMORY:
        return False
    # by name, since torch is imported only where it is used
    names = {base.__name__ for base in type(error).__mro__}
    text = str(error)
    return "AcceleratorError" in names or (
        isinstance(error, RuntimeError) and any(words in text for words in CUDA_WORDS)
    )


def is_others_fault(error: Exception) -> bool:
    """Whether CUDA says that NVIDIA's MPS, through which a GPU is shared, let this process go or failed it: then another
    one has failed. Where a kernel failed it says so to all alike, whose ever that was.
    """
    return any(words in str(error) for words in MPS_WORDS)


def _kind(error: Exception) -> FailureKind:
    if isinstance(error, DivergedError):
        return FailureKind.DIVERGED
    if isinstance(error, TimedOutError):
        return FailureKind.TIMED_OUT
    return FailureKind.OUT_OF_MEMORY if is_out_of_memory(error) else FailureKind.ERROR
