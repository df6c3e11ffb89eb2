"""The allocator of a worker's C library, told to keep memory from one training step to the next and to give it back between
two tasks.

Left to itself glibc maps large blocks and unmaps them when they are freed: the kernel clears their pages anew at each step,
28,000 for a block of 110 MiB. It reads its settings when a process starts, so they stand in the environment of one that is
to start. From inside, `mallopt` would come too late for a thread that has an arena of its own already, as Ray's have;
such arenas take no block above 64 MiB, hence only one.
"""

import ctypes
import functools
import platform
from collections.abc import Callable, Mapping

KEPT = 2**31 - 1
"""Bytes that glibc keeps, in one block and in all: the most that its settings take."""

AHEAD = 64 * 2**20
"""Bytes that it asks the kernel for beyond what it needs; they count only once they are touched."""

SETTINGS = {
    "MALLOC_ARENA_MAX": ("glibc.malloc.arena_max", 1),
    "MALLOC_MMAP_THRESHOLD_": ("glibc.malloc.mmap_threshold", KEPT),
    "MALLOC_TRIM_THRESHOLD_": ("glibc.malloc.trim_threshold", KEPT),
    "MALLOC_TOP_PAD_": ("glibc.malloc.top_pad", AHEAD),
}
"""Variables, what each is called in GLIBC_TUNABLES, and its value here."""


def c_library() -> str:
    """The C library of this process: "glibc", or another name or none on other systems."""
    return platform.libc_ver()[0]


def allocator_environment(environment: Mapping[str, str], library: str) -> dict[str, str]:
    """Variables to add to `environment` for a worker that starts with it: none that it sets itself, be it in GLIBC_TUNABLES.

    Args:
        environment: what the worker would start with.
        library: its C library, as `c_library` names it; another one than glibc gets none.
    """
    if library != "glibc":
        return {}
    tuned = {one.partition("=")[0] for one in environment.get("GLIBC_TUNABLES", "").split(":")}
    return {
        name: str(value)
        for name, (tunable, value) in SETTINGS.items()
        if name not in environment and tunable not in tuned
    }


def give_back() -> None:
    """Return to the system what is free and was kept, wherever it lies; nothing on another C library than glibc."""
    if trim := _trim():
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    if c_library() != "glibc":
        return None
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):  # a program that brings its C library along
        return None
    return found
