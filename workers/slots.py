"""What this machine has, found without torch (importing it would cost the driver seconds and memory), and how many workers
a machine or cluster holds.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evosearch.errors import CannotRunError
from evosearch.runtime import Worker, WorkerSettings

QUOTA = Path("/sys/fs/cgroup/cpu.max")


def count_cores(quota: Path = QUOTA) -> int:
    """Cores this process may use: by affinity, and by the quota of its container (cgroup v2). At least 1."""
    affinity = getattr(os, "sched_getaffinity", None)  # absent on macOS
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    if quota.exists():
        allowed, period = quota.read_text().split()
        if allowed != "max":
            cores = min(cores, int(allowed) // int(period))
    return max(1, cores)


def count_gpus(environment: Mapping[str, str] = os.environ) -> int:
    """NVIDIA GPUs this process may use: those that nvidia-smi lists, and CUDA_VISIBLE_DEVICES where it is set."""
    command = shutil.which("nvidia-smi", path=environment.get("PATH"))
    if command is None:
        return 0
    listing = subprocess.run([command, "-L"], capture_output=True, text=True, check=False)  # noqa: S603 - of PATH, no input
    present = sum(line.startswith("GPU ") for line in listing.stdout.splitlines())
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    return present if chosen is None else min(present, len(_chosen(chosen)))


def gpu_environment(index: int, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables under which a process sees the GPU cuda:`index` of this process, and no other, as cuda:0."""
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    return {"CUDA_VISIBLE_DEVICES": str(index) if chosen is None else _chosen(chosen)[index]}


def thread_environment(threads: int) -> dict[str, str]:
    """Variables that hold the numeric libraries to `threads` threads; read when they are imported."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    return dict.fromkeys(names, str(threads))


def _chosen(devices: str) -> list[str]:
    return [name.strip() for name in devices.split(",") if name.strip() not in ("", "-1")]


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
