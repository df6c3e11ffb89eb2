"""Several candidates on one GPU: as streams of one process, as processes, and as processes under NVIDIA's MPS."""

import multiprocessing
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from evosearch.bench.candidate import (
    BF16,
    Candidate,
    arithmetic,
    drawn,
    new_stream,
    on,
    timed,
    wait,
)
from evosearch.genome import Chromosome, parse
from evosearch.training.batches import ResidentData
from evosearch.training.captured import Graph

ROUNDS = 3
STARTED = 120.0
"""Seconds until a process must have captured its step; eight at once start slowly."""


def streams(
    networks: Sequence[Chromosome], data: ResidentData, batch: int, repeats: int
) -> tuple[float, ...]:
    """Milliseconds per candidate and step where all `networks` take turns on a stream each, per round."""
    device = data.device.type
    with arithmetic(BF16):
        captured = []
        for network in networks:
            stream = new_stream(device)
            with on(stream):
                candidate = Candidate(network, data, BF16, batch=batch)
                candidate.step()
                wait()
                captured.append((candidate, stream, candidate.capture()))

        def all_once() -> None:
            for _, stream, graph in captured:
                with on(stream):
                    graph.replay()

        found = tuple(timed(all_once, repeats).wall / len(networks) for _ in range(ROUNDS))
        for _, _, graph in captured:
            graph.reset()
    return found


@dataclass(frozen=True)
class Share:
    """What one of several processes trains, and for how many `seconds`. `environment`: set before it meets the GPU."""

    network: str
    device: str
    size: int
    images: int
    batch: int
    seconds: float
    environment: tuple[tuple[str, str], ...] = ()


def processes(shares: Sequence[Share]) -> tuple[float, int]:
    """Steps per second of all processes together, one per share, all at once; and how many of them failed."""
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        pipes = []
        for share in shares:
            ours, theirs = context.Pipe()
            process = context.Process(target=train_for, args=(share, theirs), daemon=True)
            process.start()
            theirs.close()  # so that its death ends the pipe
            stack.callback(process.join)
            stack.callback(process.terminate)
            pipes.append(ours)
        ready = [pipe for pipe in pipes if _heard(pipe, STARTED) is not None]
        for pipe in ready:
            pipe.send("go")
        rates = [rate for pipe in ready if (rate := _heard(pipe, STARTED)) is not None]
    return sum(rates), len(shares) - len(rates)


def _heard(pipe: "Connection[Any, Any]", seconds: float) -> float | None:
    try:
        return float(pipe.recv()) if pipe.poll(seconds) else None
    except (EOFError, OSError):
        return None


def train_for(share: Share, pipe: "Connection[Any, Any]") -> None:
    """What a process does: get ready, say so, wait for the word, replay, and tell its steps per second."""
    os.environ.update(share.environment)
    data = ResidentData(drawn(share.images, share.size), torch.device(share.device))
    stream = new_stream(share.device)
    with arithmetic(BF16), on(stream):
        candidate = Candidate(parse(share.network), data, BF16, batch=share.batch)
        candidate.step()
        wait()
        graph = candidate.capture()
        pipe.send(0.0)
        pipe.recv()
        pipe.send(_rate(graph, share.seconds))


def _rate(graph: Graph, seconds: float) -> float:
    steps, begun = 0, time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds:
        for _ in range(20):  # rather than one: the host must be ahead of the device
            graph.replay()
        wait()
        steps += 20
    return steps / passed


@contextmanager
def mps() -> Iterator[tuple[tuple[str, str], ...]]:
    """NVIDIA's Multi-Process Service, of our own: the environment of those who are to use it.

    Raises:
        OSError, subprocess.SubprocessError: it cannot be started here.
    """
    with TemporaryDirectory(prefix="evosearch-mps-", ignore_cleanup_errors=True) as folder:
        places = tuple((f"CUDA_MPS_{what}_DIRECTORY", str(Path(folder))) for what in ("PIPE", "LOG"))
        environment = {**os.environ, **dict(places)}
        control = ["nvidia-cuda-mps-control"]
        subprocess.run([*control, "-d"], check=True, timeout=20, capture_output=True, env=environment)  # noqa: S603 - NVIDIA's
        try:
            yield places
        finally:
            subprocess.run(  # noqa: S603 - NVIDIA's program
                control, check=False, timeout=20, input=b"quit\n", capture_output=True, env=environment
            )
