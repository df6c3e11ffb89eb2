"""Bytes that this process holds, and that its device has. torch is asked only where an evaluator has loaded it."""

import gc
import os
import sys
from dataclasses import dataclass
from pathlib import Path

PAGES = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Held:
    """What this process holds: `host` resident in memory, `device` reserved on its GPU; None where it is not known."""

    host: int | None
    device: int | None


def held(pages: Path = PAGES) -> Held:
    """What this process holds now."""
    return Held(_resident(pages), _reserved())


def release() -> None:
    """Give back what is held for nothing: garbage, and the cache of torch's allocator, which counts as reserved."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def capacity(device: str) -> int | None:
    """Bytes of the device that an evaluator was made for, "cuda:0"; None for "cpu", and where torch was not needed."""
    torch = sys.modules.get("torch")
    if device == "cpu" or torch is None:
        return None
    return int(torch.cuda.get_device_properties(device).total_memory)


def _resident(pages: Path) -> int | None:
    try:
        resident = int(pages.read_text().split()[1])
    except OSError:  # only Linux has it
        return None
    return resident * os.sysconf("SC_PAGE_SIZE")


def _reserved() -> int | None:
    torch = sys.modules.get("torch")
    return int(torch.cuda.memory_reserved()) if torch and torch.cuda.is_initialized() else None
