"""What `make gpu` measures, one function per section; each adds its figures to the report."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import pairwise

import torch
from torch import nn

from evosearch.bench.candidate import (
    BF16,
    FP32,
    MODES,
    TF32,
    Candidate,
    Mode,
    arithmetic,
    drawn,
    make_recorder,
    new_stream,
    on,
    timed,
    wait,
)
from evosearch.bench.packing import Share, mps, processes, streams
from evosearch.bench.table import Measure
from evosearch.bench.workload import MOST_PARAMETERS, Report, Workload
from evosearch.errors import CannotRunError
from evosearch.evaluation import Success, TrainingTask
from evosearch.genome import Chromosome
from evosearch.training import Trainer, recorder_for
from evosearch.training.batches import ResidentData
from evosearch.training.captured import CapturedStepper
from evosearch.training.fit import LOSS, Fit
from evosearch.training.step import Eager, Stepper

TOLERANCE = 1e-4
"""Of a captured training's loss against the eager one's, relative."""


def ceilings(work: Workload, report: Report) -> None:
    """What no step can be faster than: matrix products, copies, convolutions alone, a chain of empty kernels."""
    for mode in (BF16, TF32, FP32):
        seconds = _product(work, mode) / 1e3
        report.add(Measure("matrix product", str(mode), (2 * work.matrix**3 / seconds / 1e12,), "TFLOP/s"))
    source = torch.empty(work.copied, dtype=torch.uint8, device=work.device)
    target = torch.empty_like(source)
    seconds = timed(lambda: target.copy_(source), 10).wall / 1e3
    moved = 2 * work.copied / seconds / 1e12
    report.add(Measure("copy on the device, bytes read and written", "torch", (moved,), "TB/s"))
    for size in (*work.small, *work.large):
        for channels in (75, 72, 80, 96):
            for mode in (FP32, TF32, BF16):
                what = f"convolution of {channels} channels, {size} px, forward and backward"
                found = _convolution(work, size, channels, mode)
                report.add(Measure(what, str(mode), (found,), "ms", detail=True))
    if work.device == "cuda":
        report.add(Measure("a kernel in a captured chain of 150", "torch", (_chained() * 1e3,), "us"))


def _kind(mode: Mode) -> torch.dtype:
    return torch.bfloat16 if mode.precision == "bf16" else torch.float32


def _product(work: Workload, mode: Mode) -> float:
    shape = (work.matrix, work.matrix)
    with arithmetic(mode):
        left, right = (torch.randn(shape, device=work.device, dtype=_kind(mode)) for _ in "ab")
        return timed(lambda: left @ right, 5).wall


def _convolution(work: Workload, size: int, channels: int, mode: Mode) -> float:
    kind = _kind(mode)
    with arithmetic(mode):
        module = nn.Conv2d(channels, channels, 3, padding=1, device=work.device, dtype=kind)
        module.to(memory_format=torch.channels_last)
        images = torch.randn(work.batch, channels, size, size, device=work.device, dtype=kind)
        images = images.to(memory_format=torch.channels_last).requires_grad_()
        upstream = torch.ones_like(module(images))
        return timed(
            lambda: torch.autograd.grad(module(images), (images, module.weight), upstream),
            work.repeats_at(size),
        ).wall


def _chained(length: int = 150) -> float:
    number, stream = torch.zeros(1, device="cuda"), new_stream("cuda")
    with on(stream):
        number.add_(1)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            for _ in range(length):
                number.add_(1)
        return timed(graph.replay, 50).wall / length


def gate(work: Workload, report: Report) -> None:
    """Without it no speed counts: a captured training goes as the eager one, dropout and partial batches included."""
    size = work.small[0]
    data = ResidentData(drawn(2 * work.batch + work.part, size), torch.device(work.device))
    for mode in (FP32, BF16):
        for number in work.gated:
            eager, captured = (
                _trajectory(work, work.networks[number], data, mode, one) for one in (False, True)
            )
            losses = max(abs(a - b) / abs(a) for a, b in zip(eager[0], captured[0], strict=True))
            weights = max((a - b).abs().max().item() for a, b in zip(eager[1], captured[1], strict=True))
            equal = losses == weights == 0
            note = "every bit the same" if equal else f"weights differ by up to {weights:.2g}"
            what = f"worst loss of a captured training against the eager one, network {number}, {size} px"
            report.add(Measure(what, str(mode), (losses,), "relative", at_most=TOLERANCE, note=note))


Trajectory = tuple[list[float], list[torch.Tensor]]
GATED = 20
"""Steps of a training that is compared."""


def _trajectory(
    work: Workload, network: Chromosome, data: ResidentData, mode: Mode, captured: bool
) -> Trajectory:
    """The loss after each of `GATED` steps of a worker's own training, and its weights at last. Every third batch is a partial
    one, and ends an epoch.
    """
    settings = replace(mode.settings, epochs=GATED, batch_size=work.batch)
    failed: list[str] = []
    make_stepper: Callable[..., Stepper] = Eager
    if captured:
        make_stepper = partial(CapturedStepper, recorder=make_recorder(data.device), failed=failed.append)
    fit = Fit(TrainingTask(network, settings, data.key, seed=3), data, make_stepper)
    losses = []
    for _ in range(GATED):
        fit.step()
        losses.append(float(fit.state().tensors[LOSS]))
    weights = [one.detach().clone() for one in fit.network.module.parameters()]
    fit.close()
    if failed:
        raise CannotRunError(failed[0])
    return losses, weights


def steps(sizes: tuple[int, ...], work: Workload, report: Report) -> None:
    """The step of each network, eager and captured, in each precision; a figure's spread is over the networks."""
    for size in sizes:
        data = work.data(size)
        networks = work.trainable(size)
        left_out = len(work.networks) - len(networks)
        note = (
            f"{left_out} of over {MOST_PARAMETERS // 10**6} million parameters left out" if left_out else ""
        )
        for mode in MODES:
            found: dict[tuple[str, str], list[float]] = {}
            for network in networks:
                try:
                    for what, unit, value in _step(work, network, data, mode):
                        found.setdefault((what, unit), []).append(value)
                except Exception as error:  # a mode that one network cannot have is a finding, too
                    report.failed(f"step of '{network}', {size} px, {mode}", error)
                release(work)
            for (what, unit), values in found.items():
                fine = what.startswith("capture of") or not mode.deterministic
                report.add(
                    Measure(f"{what}, {size} px", str(mode), tuple(values), unit, note=note, detail=fine)
                )


def _step(
    work: Workload, network: Chromosome, data: ResidentData, mode: Mode
) -> Iterator[tuple[str, str, float]]:
    stream, repeats = new_stream(work.device), work.repeats_at(data.image.width)
    with arithmetic(mode), on(stream):
        candidate = Candidate(network, data, mode, batch=work.batch)
        candidate.step()
        wait()
        eager = timed(candidate.step, repeats)
        yield "eager step", "ms", eager.wall
        yield "host's part of an eager step", "ms", eager.host
        begun = time.perf_counter()
        graph = candidate.capture()
        wait()
        yield "capture of a step", "ms", (time.perf_counter() - begun) * 1e3
        yield "captured step", "ms", timed(graph.replay, 5 * repeats).wall
        if mode is BF16 and work.device == "cuda":
            kernels, busy = _kernels(graph.replay)
            yield "kernels of a captured step", "kernels", kernels
            yield "device busy in a captured step", "ms", busy
        graph.reset()


def _kernels(call: Callable[[], None]) -> tuple[int, float]:
    """How many kernels a call runs on the GPU, and their milliseconds together."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        call()
        wait()
    events = [event for event in profile.events() or () if str(event.device_type).endswith("CUDA")]
    return len(events), sum(event.device_time for event in events) / 1e3


def release(work: Workload) -> None:
    """Give memory that nobody holds back to the device, so that none measures what another left."""
    if work.device == "cuda":
        torch.cuda.empty_cache()


PHASES = (
    "build, initialise and copy",
    "first eager step",
    "capture both batches' steps",
    "an epoch of replays",
    "reset and release",
)


def setup(work: Workload, report: Report) -> None:
    """What a candidate costs beside its steps, one after another in one process, and whether memory grows."""
    size = work.small[-1]
    data = work.data(size)
    taken: list[tuple[float, ...]] = []
    reserved: list[float] = []
    stream = new_stream(work.device)
    with arithmetic(BF16), on(stream):
        for number in range(work.set_ups):
            taken.append(_set_up(work, work.networks[number % len(work.networks)], data))
            reserved.append(torch.cuda.memory_reserved() / 2**20 if work.device == "cuda" else 0.0)
    settled = taken[min(5, len(taken) - 1) :]  # the first ones load kernels
    for phase, values in zip(PHASES, zip(*settled, strict=True), strict=True):
        report.add(Measure(f"candidate, {size} px: {phase}", str(BF16), values, "ms"))
    report.add(Measure(f"memory reserved after each candidate, {size} px", str(BF16), tuple(reserved), "MiB"))


def _set_up(work: Workload, network: Chromosome, data: ResidentData) -> tuple[float, ...]:
    """Milliseconds of each of `PHASES`."""
    ticks = [time.perf_counter()]

    def tick() -> None:
        wait()
        ticks.append(time.perf_counter())

    candidate = Candidate(network, data, BF16, batch=work.batch)
    tick()
    candidate.step()
    tick()
    full = candidate.capture()
    candidate.rows = torch.arange(work.part, device=work.device)
    candidate.step()
    part = candidate.capture()
    tick()
    for _ in range(work.images // work.batch):
        full.replay()
    part.replay()
    tick()
    part.reset()
    full.reset()
    del candidate, full, part
    release(work)
    tick()
    return tuple((after - before) * 1e3 for before, after in pairwise(ticks))


def evaluations(work: Workload, report: Report) -> None:
    """Whole evaluations as a worker does them today, through its own `Trainer`."""
    for size in work.small:
        data = drawn(work.images, size)
        trainer = Trainer(data, work.device, make_recorder=recorder_for(data, work.device))
        for mode in (FP32, BF16):
            settings = replace(mode.settings, epochs=work.epochs, batch_size=work.batch)
            found = []
            for network in work.networks:
                outcome = trainer.train(TrainingTask(network, settings, data.key, seed=0))
                if not isinstance(outcome, Success):
                    raise CannotRunError(f"'{network}' ended as {outcome.kind}: {outcome.message}")
                found.append(outcome.seconds / work.epochs * 1e3)
            what = f"evaluation of {work.epochs} epochs, {size} px, per epoch"
            report.add(Measure(what, str(mode), tuple(found), "ms"))


def packed(sizes: tuple[int, ...], work: Workload, report: Report) -> None:
    """Several candidates as streams of one process."""
    for size in sizes:
        data, networks = work.data(size), work.trainable(size)
        for count in work.packed:
            chosen = [networks[number % len(networks)] for number in range(count)]
            found = streams(chosen, data, work.batch, 5 * work.repeats_at(size))
            report.add(
                Measure(f"captured step per candidate, {size} px", f"{count} as streams, bf16", found, "ms")
            )
            release(work)


def packing(size: int, work: Workload, report: Report) -> None:
    """Several candidates as processes, in the way that workers share a GPU: under MPS, where that starts. The report keeps the curve."""
    with ExitStack() as stack:
        environment: tuple[tuple[str, str], ...] = ()
        if work.device == "cuda":
            try:
                environment = stack.enter_context(mps())
            except (OSError, subprocess.SubprocessError) as error:
                why = f"MPS does not start here ({error})"
                report.add(Measure(f"MPS, {size} px", "NVIDIA", (), "", note=why))
        rates = together(size, work.processes, work, report, environment)
    report.add_curve(size, rates, mps=bool(environment))


def apart(size: int, work: Workload, report: Report) -> None:
    """The same without MPS."""
    together(size, work.apart, work, report)


def together(
    size: int,
    counts: tuple[int, ...],
    work: Workload,
    report: Report,
    environment: tuple[tuple[str, str], ...] = (),
) -> dict[int, float]:
    """Steps per second of so many processes together, by their number, where none failed. All train one network, so that the
    numbers can be compared. `environment`: that of MPS, empty without it.
    """
    found: dict[int, float] = {}
    network = str(work.middle(size))
    share = Share(network, work.device, size, work.images, work.batch, work.seconds, environment)
    for count in counts:
        rate, failed = processes([share] * count)
        how = f"{count} as processes{' under MPS' if environment else ''}"
        note = f"{failed} of them failed" if failed else ""
        if failed:
            report.failed(how, CannotRunError(note))
        else:
            found[count] = rate
        report.add(Measure(f"steps per second, {size} px", f"{how}, bf16", (rate,), "1/s", note=note))
    return found
