"""The gate before captured steps: a worker on a GPU takes them only where they come to the very bits of eager ones.

So neither a capture that fails on the way, nor a resume, nor a cluster in which one worker captures and another cannot,
changes a result.
"""

import logging
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from evosearch.blueprint import ImageShape
from evosearch.data import SearchData, Split
from evosearch.evaluation import Precision, TrainingSettings, TrainingTask
from evosearch.genome import parse
from evosearch.training.batches import ResidentData
from evosearch.training.captured import CapturedStepper, CudaRecorder, Recorder
from evosearch.training.fit import Fit, FitState
from evosearch.training.step import Eager, Stepper

LOG = logging.getLogger(__name__)

STEPS = 8
"""Two epochs and two steps more of three batches each: full, full, partial."""

NETWORK = "B4 | F4"
"""Convolution, batch norm, dense layers with dropout between: the kernels of every network, on any image."""

BATCH, TRAIN, VALIDATION = 4, 11, 6

MakeRecorder = Callable[[], Recorder]
"""Makes the recorder of one training."""


def recorder_for(data: SearchData, device: str) -> MakeRecorder | None:
    """What records the steps of trainings on `device`, "cpu" or "cuda:0"; None where they are taken eagerly: on a CPU, and,
    told in one line, where captured ones would not be the same.
    """
    where = torch.device(device)
    if where.type != "cuda":
        return None
    make = partial(CudaRecorder, where)
    different = difference(data.image, where, make)
    torch.cuda.empty_cache()
    if not different:
        return make
    LOG.warning(
        "on %s steps are not captured (%s): this worker trains eagerly, to the same results",
        device,
        different,
    )
    return None


def difference(image: ImageShape, device: torch.device, make_recorder: MakeRecorder) -> str:
    """How eight captured steps on noise of this shape differ from eight eager ones, in a few words; empty if in no bit.

    With batch norm, dropout, a partial batch and two validations, in each precision that the device computes in.
    """
    data = _noise(image, device)
    for precision in _precisions(device):
        settings = TrainingSettings(epochs=4, batch_size=BATCH, precision=precision)
        task = TrainingTask(parse(NETWORK), settings, data.key, seed=0)
        if different := difference_of(task, data, make_recorder, STEPS):
            return f"{precision}: {different}"
    return ""


def difference_of(task: TrainingTask, data: ResidentData, make_recorder: MakeRecorder, steps: int) -> str:
    """How so many captured steps of `task` differ from as many eager ones, in a few words; empty if in no bit."""
    failures: list[str] = []
    captured: Callable[..., Stepper] = partial(
        CapturedStepper, recorder=make_recorder(), failed=failures.append
    )
    try:
        ours, theirs = _stepped(task, data, captured, steps), _stepped(task, data, Eager, steps)
    except Exception as error:  # whatever it is, eager steps are there
        failures.append(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
    else:
        failures += [f"other bits in '{name}'" for name in _different(ours, theirs)]
    return failures[0] if failures else ""


def _precisions(device: torch.device) -> tuple[Precision, ...]:
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return ("fp32",)
    if device.type != "cuda" or torch.version.hip:  # tf32 is of NVIDIA's, and as old as its bf16
        return "fp32", "bf16"
    return "fp32", "tf32", "bf16"


def _noise(image: ImageShape, device: torch.device) -> ResidentData:
    rng = np.random.default_rng(0)

    def split(count: int) -> Split:
        pixels = rng.integers(0, 256, (count, image.channels, image.height, image.width), dtype=np.uint8)
        return Split(pixels, np.arange(count, dtype=np.int64) % 2)

    return ResidentData(SearchData(split(TRAIN), split(VALIDATION), ("0", "1"), "noise"), device)


def _stepped(
    task: TrainingTask, data: ResidentData, make_stepper: Callable[..., Stepper], steps: int
) -> FitState:
    fit = Fit(task, data, make_stepper)
    try:
        for _ in range(steps):
            fit.step()
        return fit.state()
    finally:
        fit.close()


def _different(one: FitState, other: FitState) -> list[str]:
    """Names of what is not the same in both, bit for bit."""
    names = [name for name, tensor in one.tensors.items() if not _same_bits(tensor, other.tensors[name])]
    return names if one.curve == other.curve else [*names, "the curve"]


def _same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.reshape(-1).view(torch.uint8).equal(other.reshape(-1).view(torch.uint8))
