"""What this machine has, found without torch: importing it would cost the driver seconds and memory."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

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
