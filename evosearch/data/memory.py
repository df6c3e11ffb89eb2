"""How much memory this machine can still give, asked before arrays are made that may not fit."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from evosearch.blueprint import ImageShape
from evosearch.errors import CannotRunError

COPIES = 2
"""Images are held as decoded and, for a moment besides, as sorted into splits."""


def check_memory(
    images: int, shape: ImageShape, available: Callable[[], int | None], copies: int = COPIES
) -> None:
    """See that so many images of a shape fit into the bytes that are `available`, so often; None: nobody knows.

    Raises:
        CannotRunError: they do not.
    """
    needed, free = copies * images * shape.channels * shape.height * shape.width, available()
    if free is not None and needed > free:
        raise CannotRunError(
            f"{images:,} images of {shape.channels} x {shape.height} x {shape.width} need {_gib(needed)} of memory, "
            f"but only {_gib(free)} are available here; lower data.image_size, or take a machine with more"
        )


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes that a process here may still take: of the machine (Linux's `MemAvailable`), and of each control group that
    holds it. None where the system says neither.

    `root`: where /proc and /sys are found.
    """
    return min((*_of_the_machine(root), *_of_its_groups(root)), default=None)


def _of_the_machine(root: Path) -> Iterator[int]:
    if found := re.search(r"^MemAvailable:\s+(\d+) kB", _read(root / "proc/meminfo"), re.MULTILINE):
        yield 1024 * int(found[1])
    elif root == Path("/") and "SC_AVPHYS_PAGES" in os.sysconf_names:  # no Linux
        yield os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_its_groups(root: Path) -> Iterator[int]:
    """Of versions 2 and 1; what of its use is files that were read can be had back."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            top = root / "sys/fs/cgroup" / controllers
            limit, usage = (
                ("memory.limit_in_bytes", "memory.usage_in_bytes")
                if controllers
                else ("memory.max", "memory.current")
            )
            group = top / path.lstrip("/")
            for folder in (group, *(above for above in group.parents if above.is_relative_to(top))):
                most, used = _read(folder / limit).strip(), _read(folder / usage).strip()
                if most.isdecimal() and used.isdecimal():
                    files = re.findall(
                        r"^(?:in)?active_file (\d+)$", _read(folder / "memory.stat"), re.MULTILINE
                    )
                    yield max(0, int(most) - int(used) + sum(map(int, files)))


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def _gib(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"
