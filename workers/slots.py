"""Room for workers: how many a machine or cluster holds, and what each may use."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evosearch.errors import CannotRunError
from evosearch.runtime import Worker, WorkerSettings

MOST_PER_CORE = 32
"""Workers that may take turns on a core; each is a process of some hundred megabytes."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Room for one worker at a time. `device`: cpu, or cuda:N as counted on this machine. `threads`: host threads."""

    device: str
    threads: int


def plan_slots(settings: WorkerSettings, threads: int, gpus: int, cores: int) -> tuple[Slot, ...]:
    """One slot per worker: GPUs in turn, `per_gpu` workers on each, where GPUs are used, else `threads` cores each.

    Args:
        settings: count, per_gpu and device; a count of CPU workers beyond the cores is obeyed, they take turns.
        threads: threads of each worker, at least 1.
        gpus: GPUs that the pool sees.
        cores: cores that the pool sees.

    Raises:
        CannotRunError: more GPU workers than the GPUs hold, or device cuda without any.
    """
    if settings.device == "cpu" or (settings.device == "auto" and gpus == 0):
        count = settings.count or max(1, cores // threads)
        if count > MOST_PER_CORE * cores:
            raise CannotRunError(
                f"workers.count is {count}, but this machine has {cores} cores and bears {MOST_PER_CORE * cores} workers "
                "at most; lower workers.count or leave it out"
            )
        return (Slot("cpu", threads),) * count
    if gpus == 0:
        raise CannotRunError("workers.device is cuda, but no GPU was found; use workers.device=auto or cpu")
    most = gpus * settings.per_gpu
    count = settings.count or most
    if count > most:
        raise CannotRunError(
            f"workers.count is {count}, but {gpus} GPU{'s were' if gpus > 1 else ' was'} found and each holds "
            f"workers.per_gpu = {settings.per_gpu}; lower workers.count, leave it out, or raise workers.per_gpu"
        )
    return tuple(Slot(f"cuda:{index % gpus}", threads) for index in range(count))


def kind_of(slots: Sequence[Slot]) -> Literal["cpu", "cuda"]:
    """The kind of device that `slots`, as planned, all use."""
    return "cpu" if slots[0].device == "cpu" else "cuda"


def name_worker(host: str, device: str, serial: int) -> Worker:
    """The worker on `device` of `host`; `serial` makes its name unique within the pool."""
    short = device.replace("cuda:", "gpu")
    return Worker(f"{host}-{short}-{serial}", f"{host}/{device}")
