"""What this machine has, found without torch (importing it would cost the driver seconds and memory), and how many workers
a machine or cluster holds.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evosearch.errors import CannotRunError
from evosearch.runtime import MOST_PER_GPU, Worker, WorkerSettings

LISTING_SECONDS = 30.0
"""Longest wait for nvidia-smi, which takes seconds where many GPUs wake up."""

KILL_SECONDS = 1.0
"""Longest wait for its end where it was killed."""

NO_DEVICES = "No devices were found"
"""What nvidia-smi says, with exit status 6, of a driver that works and has no GPU."""

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


def count_gpus(environment: Mapping[str, str] = os.environ, seconds: float = LISTING_SECONDS) -> int:
    """NVIDIA GPUs this process may use: those that nvidia-smi lists, and CUDA_VISIBLE_DEVICES where it is set.

    Args:
        environment: variables of this process.
        seconds: longest wait for nvidia-smi.

    Raises:
        CannotRunError: there is an nvidia-smi, and it fails or hangs: the GPUs are there, but the driver does not work.
    """
    command = shutil.which("nvidia-smi", path=environment.get("PATH"))
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if command is None or (chosen is not None and not _chosen(chosen)):
        return 0
    present = sum(line.startswith("GPU ") for line in _listing(command, environment, seconds).splitlines())
    return present if chosen is None else min(present, len(_chosen(chosen)))


def gpus_for(device: str) -> int:
    """GPUs of this machine that workers of `device` may use: none, unasked, for the CPU's.

    Raises:
        CannotRunError: as `count_gpus`.
    """
    return 0 if device == "cpu" else count_gpus()


def driver_trouble() -> str | None:
    """What is wrong with the driver of this machine's GPUs, in half a sentence; None where nothing is, or none is there."""
    try:
        count_gpus()
    except CannotRunError as error:
        return str(error).partition(";")[0]
    return None


def _listing(command: str, environment: Mapping[str, str], seconds: float) -> str:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        asked = subprocess.Popen(  # noqa: S603 - of PATH, no input
            [command, "-L"], stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment
        )
        try:
            status = asked.wait(seconds)
        except subprocess.TimeoutExpired:
            asked.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # who is stuck in the driver stays
                asked.wait(KILL_SECONDS)
            raise _broken_driver(f"nvidia-smi does not answer within {seconds:.0f} s") from None
        out.seek(0)
        err.seek(0)
        told, complaint = (file.read().decode(errors="replace") for file in (out, err))
    if status and NO_DEVICES not in told + complaint:
        said = " ".join((complaint or told).split())[:200]
        raise _broken_driver(f"nvidia-smi ends with {status}{f' ({said})' if said else ''}")
    return told


def _broken_driver(found: str) -> CannotRunError:
    return CannotRunError(
        f"{found}: this is a GPU machine without a working driver; fix the driver (often the machine must be restarted), "
        "or train on the CPU, from beginning to end: workers.device: cpu"
    )


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
    """Room for one worker at a time."""

    device: str
    """cpu, or cuda:N as counted on this machine."""
    threads: int
    """Host threads that it may use, at least 1."""


def plan_slots(settings: WorkerSettings, threads: int, gpus: int, cores: int) -> tuple[Slot, ...]:
    """One slot per worker: GPUs in turn, `per_gpu` workers on each, where GPUs are used, else `threads` cores each.

    Args:
        settings: count, per_gpu and device; a count of CPU workers beyond the cores is obeyed, they take turns. Of `auto` workers
            per GPU there is the first of each: the others follow once it says what GPU that is (`workers.packing`).
        threads: threads of each worker, at least 1.
        gpus: GPUs that the pool sees.
        cores: cores that the pool sees.

    Raises:
        CannotRunError: more workers than the cores or GPUs hold, or device cuda without any.
    """
    if settings.device == "cpu" or (settings.device == "auto" and gpus == 0):
        count = settings.count or max(1, cores // threads)
        if count > MOST_PER_CORE * cores:
            raise CannotRunError(
                f"workers.count is {count}, but this machine has {cores} cores and bears {MOST_PER_CORE * cores} workers "
                "at most; lower workers.count or leave it out"
            )
        return (Slot("cpu", threads),) * count
    if isinstance(settings.per_gpu, int) and settings.per_gpu > MOST_PER_GPU:
        raise CannotRunError(
            f"workers.per_gpu is {settings.per_gpu}, but a GPU bears {MOST_PER_GPU} workers at most; lower it"
        )
    if gpus == 0:
        raise CannotRunError("workers.device is cuda, but no GPU was found; use workers.device=auto or cpu")
    if not isinstance(settings.per_gpu, int):
        return tuple(Slot(f"cuda:{index}", threads) for index in range(min(gpus, settings.count or gpus)))
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
