"""From an exception inside a worker to the `Failure` that the driver sees.

| exception | kind |
|---|---|
| `MemoryError`; `OutOfMemoryError` of torch or Ray; an allocator's `RuntimeError` | OUT_OF_MEMORY |
| `DivergedError` | DIVERGED |
| any other | ERROR |
"""

import traceback
from pathlib import Path

import evosearch
from evosearch.errors import DivergedError
from evosearch.evaluation import Failure, FailureKind

LONGEST = 400
"""Characters of a message; some of torch's fill a page."""

OUT_OF_MEMORY_TEXTS = ("can't allocate memory", "CUDA out of memory", "_STATUS_ALLOC_FAILED")
"""The CPU's allocator, older CUDA allocators, cuBLAS and cuDNN raise a plain RuntimeError."""

PACKAGES = (Path(evosearch.__file__).parent, Path(__file__).parent)


def classify(error: Exception, seconds: float = 0.0) -> Failure:
    """The failure that `error` stands for, in one line with its type and place; `seconds` of wall time until then."""
    return Failure(_kind(error), describe(error), seconds)


def describe(error: BaseException) -> str:
    """Type, message and innermost line of this project in one line."""
    message = " ".join(str(error).split())[:LONGEST]
    return f"{type(error).__name__}: {message}{_place(error)}"


def poisons_process(error: Exception) -> bool:
    """Whether CUDA's context is lost, so that every later call in this process fails too.

    A device-side assert or an illegal access does it; memory that ran out does not.
    """
    if _kind(error) is FailureKind.OUT_OF_MEMORY:
        return False
    return "AcceleratorError" in _names(error) or (
        isinstance(error, RuntimeError) and "CUDA error:" in str(error)
    )


def _kind(error: Exception) -> FailureKind:
    if isinstance(error, DivergedError):
        return FailureKind.DIVERGED
    # By name, since torch and ray are imported only where they are used.
    if isinstance(error, MemoryError) or "OutOfMemoryError" in _names(error):
        return FailureKind.OUT_OF_MEMORY
    if isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY_TEXTS):
        return FailureKind.OUT_OF_MEMORY
    return FailureKind.ERROR


def _names(error: Exception) -> set[str]:
    return {base.__name__ for base in type(error).__mro__}


def _place(error: BaseException) -> str:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        for package in PACKAGES:
            if path.is_relative_to(package):
                return f" ({path.relative_to(package.parent)}:{frame.lineno})"
    return ""
