"""One candidate on a device: the training step that a worker makes, eagerly and captured as a CUDA graph.

A *captured* step is recorded once and replayed: one call on the host in place of some hundred. On a CPU nothing can be
captured, and a stand-in repeats the eager step, so that all that measures graphs runs there, too.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch

from evosearch.blueprint import Blueprint, ImageShape, Problem, blueprint_of
from evosearch.data import SearchData, Split
from evosearch.evaluation import Precision, TrainingSettings
from evosearch.genome import Chromosome, Conv
from evosearch.training.batches import ResidentData
from evosearch.training.captured import CudaRecorder, Graph, Recorder
from evosearch.training.numerics import numerics
from evosearch.training.step import make_classifier, make_optimizer, train_step

CHANNELS = 3
CLASSES = ("0", "1")


@dataclass(frozen=True)
class Mode:
    """How a step computes. `padded`: every convolution's channels rounded up to a multiple of 8, where the tensor cores' fast
    path begins.
    """

    precision: Precision
    deterministic: bool = True
    padded: bool = False

    @property
    def settings(self) -> TrainingSettings:
        """What a search would write for it."""
        return TrainingSettings(precision=self.precision, deterministic=self.deterministic)

    def __str__(self) -> str:
        free = "" if self.deterministic else ", any kernels"
        return f"{self.precision}{free}{', channels padded to 8' if self.padded else ''}"


FP32, TF32, BF16 = Mode("fp32"), Mode("tf32"), Mode("bf16")
MODES = (
    FP32,
    Mode("fp32", deterministic=False),
    TF32,
    BF16,
    Mode("bf16", deterministic=False),
    Mode("bf16", padded=True),
)


@contextmanager
def arithmetic(mode: Mode) -> Iterator[None]:
    """Compute as `mode` says; on leaving, all is as it was."""
    with numerics(mode.settings):
        yield


def padded(network: Chromosome, multiple: int = 8) -> Chromosome:
    """`network` with the channels of each convolution rounded up to a multiple."""

    def up(channels: int) -> int:
        return -(-channels // multiple) * multiple

    head = (replace(one, channels=up(one.channels)) if isinstance(one, Conv) else one for one in network.head)
    return Chromosome(tuple(head), network.tail)


def blueprint(network: Chromosome, size: int) -> Blueprint:
    """Its layers, for images (3, size, size) of two classes."""
    return blueprint_of(network, Problem(ImageShape(CHANNELS, size, size), len(CLASSES)))


def drawn(count: int, size: int) -> SearchData:
    """`count` training and as many validation images (3, size, size), uint8, of two classes: noise."""
    rng = np.random.default_rng(0)

    def split() -> Split:
        pixels = rng.integers(0, 256, (count, CHANNELS, size, size), dtype=np.uint8)
        return Split(pixels, rng.integers(0, len(CLASSES), count))

    return SearchData(split(), split(), CLASSES, f"noise-{count}-{size}")


@dataclass(frozen=True)
class _Repeated:
    """The stand-in for a graph on a CPU."""

    replay: Callable[[], None]

    def reset(self) -> None:
        """Nothing is held."""


class _Repeating:
    """The stand-in for a `Recorder` there."""

    def record(self, work: Callable[[], None]) -> Graph:
        """What does `work` whenever it is replayed."""
        return _Repeated(work)


def make_recorder(device: torch.device) -> Recorder:
    """That of a training on `device`."""
    return CudaRecorder(device) if device.type == "cuda" else _Repeating()


class Candidate:
    """A network with its optimizer, on the device of `data`, as a worker would make them.

    `rows`: positions (B,) of the images of the next step, int64 on the device. `loss`: the sum of all losses so far,
    float64 there. The first eager step is the warm-up that a capture needs, and a real one: nothing is put back.
    """

    def __init__(
        self, network: Chromosome, data: ResidentData, mode: Mode, *, batch: int = 16, seed: int = 0
    ) -> None:
        chosen, generator = padded(network) if mode.padded else network, torch.manual_seed(seed)
        self.network = make_classifier(chosen, mode.settings, data, generator)
        self.network.module.train()
        self.optimizer = make_optimizer(self.network.module.parameters(), mode.settings)
        self.recorder = make_recorder(data.device)
        self.split = data.train
        self.rows = torch.arange(batch, device=data.device)
        self.loss = torch.zeros((), dtype=torch.float64, device=data.device)

    def step(self) -> None:
        """One eager step on `rows`."""
        train_step(self.network, self.optimizer, self.split, self.rows, self.loss)

    def capture(self) -> Graph:
        """Record the step on the present `rows`, whose contents may be changed in place between replays.

        Nothing is trained by it. A step with as many rows must have run before, on the same stream, as all of this candidate
        do. Its graphs share their memory.
        """
        rows = self.rows
        self.optimizer.zero_grad()  # gradients belong to the graph's own memory
        return self.recorder.record(
            lambda: train_step(self.network, self.optimizer, self.split, rows, self.loss)
        )


def new_stream(device: str) -> torch.cuda.Stream | None:
    """A stream of the GPU; None on a CPU."""
    return torch.cuda.Stream() if device == "cuda" else None  # type: ignore[no-untyped-call] # of torch


def on(stream: torch.cuda.Stream | None) -> AbstractContextManager[object]:
    """Everything inside runs on `stream`."""
    return nullcontext() if stream is None else torch.cuda.stream(stream)


def wait() -> None:
    """Until the GPU, if there is one, has done all it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@dataclass(frozen=True)
class Timing:
    """Milliseconds per call. `host`: until the last call returned; `wall`: until the device had done it."""

    wall: float
    host: float


def timed(call: Callable[[], object], repeats: int) -> Timing:
    """Mean over `repeats` calls, after one that is not counted."""
    call()
    wait()
    begun = time.perf_counter()
    for _ in range(repeats):
        call()
    returned = time.perf_counter()
    wait()
    ended = time.perf_counter()
    return Timing((ended - begun) / repeats * 1e3, (returned - begun) / repeats * 1e3)
