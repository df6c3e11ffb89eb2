"""What a device can do at most, measured, and what no step of a network can therefore be faster than."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch

from evosearch.bench.candidate import new_stream, on
from evosearch.blueprint import Blueprint, ConvLayer, LinearLayer, PoolLayer

MATRIX = {"cpu": 2048, "cuda": 8192}
"""Rows of the square matrices that are multiplied."""

COPIED = {"cpu": 2**28, "cuda": 2**30}
"""Bytes that are copied."""

CHAIN = 150
"""Empty kernels in a row, in one graph."""

PASSES = 3
"""Forward, and backward for weights and for inputs: each as many operations."""

TOUCHED = 5
"""How often a layer's outputs are written or read in a step: written and read forward, read once more backward, and their
gradient written and read."""

NUMBERS_PER_WEIGHT = 10
"""How many numbers of four bytes a step writes or reads for each weight: the weight forward and backward, its gradient written
and read, and by Adam weight and both moments read and written."""


def instructions_of(device: str) -> str:
    """What `device` computes bf16 with: amx_bf16 or avx512_bf16 on a CPU; else the CPU's level, or the GPU's capability."""
    if device == "cuda":
        return "compute capability {}.{}".format(*torch.cuda.get_device_capability())
    found = cpu_capabilities()
    level: str = torch.backends.cpu.get_cpu_capability()
    return next((one for one in ("amx_bf16", "avx512_bf16") if found.get(one)), level)


def computes_bf16(device: str) -> bool:
    """Whether it has instructions of its own for it."""
    if device == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    return instructions_of(device) in ("amx_bf16", "avx512_bf16")


def cpu_capabilities(file: Path = Path("/proc/cpuinfo")) -> dict[str, Any]:
    """As PyTorch says from some version on; before, the flags that Linux tells."""
    capabilities: Callable[[], dict[str, Any]] | None = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is not None:
        return capabilities()
    try:
        return dict.fromkeys(file.read_text(errors="replace").split(), True)
    except OSError:
        return {}


def processor(device: str, file: Path = Path("/proc/cpuinfo")) -> str:
    """The model's name."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.machine()


@dataclass(frozen=True)
class Ceilings:
    """What the device did best. `flops`: of a product of matrices, per second, by precision. `copied`: bytes read and written
    per second. `kernel`: seconds of an empty kernel in a graph; None on a CPU.
    """

    flops: dict[str, float]
    copied: float
    kernel: float | None = None

    def limit(self, plan: Blueprint, batch: int, precision: str, *, fused: bool = True) -> float:
        """Seconds of a step of `batch` images: the longer of its arithmetic and of what it must move through memory.

        `fused`: what follows a convolution or a dense layer works on what is at hand; else every layer writes its outputs.
        """
        arithmetic = PASSES * batch * plan.flops / self.flops[precision]
        return max(arithmetic, bytes_of(plan, batch, precision, fused=fused) / self.copied)

    def better(self, other: "Ceilings") -> "Ceilings":
        """The higher of each."""
        kernels = [one.kernel for one in (self, other) if one.kernel is not None]
        best = {name: max(rate, other.flops[name]) for name, rate in self.flops.items()}
        return Ceilings(best, max(self.copied, other.copied), min(kernels, default=None))

    def to_json(self) -> dict[str, float | None]:
        """Rounded: no digit more than was measured."""
        rates = {f"{name}_gflops_per_second": round(rate / 1e9, 1) for name, rate in self.flops.items()}
        kernel = None if self.kernel is None else round(1e6 * self.kernel, 3)
        return {**rates, "copy_gb_per_second": round(self.copied / 1e9, 2), "kernel_us": kernel}


def bytes_of(plan: Blueprint, batch: int, precision: str, *, fused: bool) -> int:
    """What a step must read and write."""
    held = (
        sum(
            prod(layer.output)
            for layer in plan.layers
            if isinstance(layer, ConvLayer | PoolLayer | LinearLayer)
        )
        if fused
        else plan.activations
    )
    width = 2 if precision == "bf16" else 4
    return TOUCHED * width * batch * held + 4 * NUMBERS_PER_WEIGHT * plan.parameters


def measure_ceilings(device: str, matrix: int | None = None, copied: int | None = None) -> Ceilings:
    """Once each; on a CPU by one thread. `matrix`, `copied`: in place of `MATRIX` and `COPIED`."""
    rows, size = matrix or MATRIX[device], copied or COPIED[device]
    flops = {}
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        left, right = (torch.randn(rows, rows, device=device, dtype=kind) for _ in "ab")
        flops[name] = 2 * rows**3 / _seconds(lambda a=left, b=right: a @ b, device)  # type: ignore[misc] # mypy infers no lambda with defaults
    source = torch.empty(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    rate = 2 * size / _seconds(lambda: target.copy_(source), device)
    return Ceilings(flops, rate, _kernel() if device == "cuda" else None)


def _kernel() -> float:
    number, stream = torch.zeros(1, device="cuda"), new_stream("cuda")
    with on(stream):
        number.add_(1)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            for _ in range(CHAIN):
                number.add_(1)
        return _seconds(graph.replay, "cuda") / CHAIN


def _seconds(call: Callable[[], object], device: str) -> float:
    """The least of five calls after the first: of the processor, or between events."""
    call()
    found: list[float] = []
    for _ in range(5):
        if device == "cuda":
            begin, end = _event(), _event()
            begin.record()
            call()
            end.record()
            end.synchronize()
            found.append(begin.elapsed_time(end) / 1e3)
        else:
            begun = time.process_time()
            call()
            found.append(time.process_time() - begun)
    return max(min(found), 1e-9)


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call] # of torch
