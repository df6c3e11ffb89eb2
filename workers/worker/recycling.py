"""When a worker process is worn out and is to be replaced by a fresh one: by what it holds, and by what it has done.
torch is asked only where an evaluator has loaded it.
"""

import gc
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from evosearch.evaluation import Precision
from workers.allocator import give_back

PAGES = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class HeldMemory:
    """What this process holds."""

    host: int | None
    """Bytes resident in memory; None where it is not known."""
    device: int | None
    """Bytes reserved on its GPU; None where it is not known."""


def held(pages: Path = PAGES) -> HeldMemory:
    """What this process holds now."""
    return HeldMemory(_resident(pages), _reserved())


def release() -> None:
    """Give back what is held for nothing: garbage, what the C library keeps, and the cache of torch's allocator, which counts
    as reserved.
    """
    gc.collect()
    give_back()
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def capacity(device: str) -> int | None:
    """Bytes of the device that an evaluator was made for, "cuda:0"; None for "cpu", and where torch was not needed."""
    torch = sys.modules.get("torch")
    if device == "cpu" or torch is None:
        return None
    return int(torch.cuda.get_device_properties(device).total_memory)


def processor_of(device: str) -> str:
    """The kind of processor that an evaluator for `device`, "cpu" or "cuda:0", computes on: two of another kind may round
    otherwise. Empty where torch was not needed, so that nothing was trained.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return ""
    if device != "cpu":
        return str(torch.cuda.get_device_name(device))
    return f"{_cpu_model()} with {torch.backends.cpu.get_cpu_capability()}"


def precisions_of(device: str) -> tuple[Precision, ...] | None:
    """For which precisions the processor of an evaluator for `device`, "cpu" or "cuda:0", has instructions of its own; None where
    torch was not needed.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    if device == "cpu":
        return ("fp32", "bf16") if _cpu_has_bf16(torch) else ("fp32",)
    if torch.version.hip:  # numbered otherwise; tf32 is of NVIDIA's
        return ("fp32", "bf16") if torch.cuda.is_bf16_supported(including_emulation=False) else ("fp32",)
    return ("fp32", "tf32", "bf16") if torch.cuda.get_device_capability(device) >= (8, 0) else ("fp32",)


def _cpu_has_bf16(torch: ModuleType, file: Path = Path("/proc/cpuinfo")) -> bool:
    """As PyTorch says from some version on; before, as Linux says."""
    if hasattr(torch.cpu, "get_capabilities"):
        can = torch.cpu.get_capabilities()
        return bool(can.get("avx512_bf16") or can.get("amx_bf16"))
    try:
        flags = set(file.read_text(errors="replace").split())
    except OSError:
        return False
    return not flags.isdisjoint({"avx512_bf16", "amx_bf16"})


def _cpu_model(file: Path = Path("/proc/cpuinfo")) -> str:
    """As Linux names it; elsewhere its architecture."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.machine()


def _resident(pages: Path) -> int | None:
    try:
        resident = int(pages.read_text().split()[1])
    except OSError:  # only Linux has it
        return None
    return resident * os.sysconf("SC_PAGE_SIZE")


def _reserved() -> int | None:
    torch = sys.modules.get("torch")
    return int(torch.cuda.memory_reserved()) if torch and torch.cuda.is_initialized() else None


MIB = 2**20


class Wear:
    """Counts evaluations and watches what the process holds.

    `after`: the last evaluation's number, None: any number. `growth`: so many MiB more than after the first
    evaluation, on host or device, are too many; None: never. `held`, `release`: see `workers.worker.recycling`.
    """

    def __init__(
        self,
        after: int | None,
        growth: int | None,
        *,
        held: Callable[[], HeldMemory] = held,
        release: Callable[[], None] = release,
    ) -> None:
        self._after = after
        self._growth = growth
        self._held = held
        self._release = release
        self._first: HeldMemory | None = None
        self._evaluations = 0

    def evaluated(self) -> str:
        """Note that an evaluation has ended; why the process should be replaced now, or nothing if it may go on."""
        self._evaluations += 1
        if self._after is not None and self._evaluations >= self._after:
            return f"recycled after {self._evaluations} evaluation{'s' if self._evaluations > 1 else ''}"
        if self._growth is None:
            return ""
        if self._first is None:
            self._release()
            self._first = self._held()
            return ""
        if not self._grown(self._first):
            return ""
        self._release()  # garbage looks like growth too, and collecting it each time would cost
        return self._grown(self._first)

    def _grown(self, first: HeldMemory) -> str:
        now = self._held()
        pairs = (("host", first.host, now.host), ("device", first.device, now.device))
        for name, before, bytes_held in pairs:
            grown = (bytes_held or 0) - (before or 0)
            if self._growth is not None and grown > self._growth * MIB:
                return (
                    f"recycled: it holds {_gib(bytes_held or 0)} of {name} memory, {_gib(grown)} more than after "
                    "its first evaluation"
                )
        return ""


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
