"""Gates of `bench evaluate`: without them no speed counts. One that cannot run here is skipped, with a word."""

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evosearch.bench.standing import Standing
from evosearch.evaluation import Precision, TrainingSettings, TrainingTask
from evosearch.genome import parse
from evosearch.training.batches import ResidentData, batch_sizes
from evosearch.training.captured import CudaRecorder
from evosearch.training.fit import Fit
from evosearch.training.gate import MakeRecorder, difference_of
from evosearch.training.step import Eager

CAPTURED, ALONE, ONCE, BF16 = (
    "captured = eager",
    "packed = alone",
    "each image once per epoch",
    "bf16 = fp32",
)
"""Names of the gates; the last one is `equivalence`'s."""

EPOCHS = 3
"""In which the images are counted; and in which captured steps are compared: all are eager in the first one, the partial batch and
the validation are recorded in the second, and replayed on other images and weights in the third."""

SMALLEST = "B1 | F1"
"""The order of the images does not depend on the network."""

Gate = bool | str
"""Whether it is passed; a text: it cannot run here, and why."""


def captured_as_eager(
    device: str,
    workers: Sequence[Standing],
    file: Path,
    networks: Sequence[str],
    precisions: Sequence[Precision],
    tell: Callable[[str], None],
    make_recorder: MakeRecorder | None = None,
) -> Gate:
    """Whether captured steps train bit for bit as eager ones: each network in each precision, with its dropout and batch norm, a
    partial batch and the validation, on the first few images in `file` (as of `ImageFiles.data`).

    Args:
        device: cpu or cuda.
        workers: those whose steps are to be captured; one that took eager ones has failed.
        file: the images.
        networks: of the benchmark.
        precisions: in which they are measured.
        tell: is told how far it is, and what differs.
        make_recorder: in place of CUDA's.
    """
    if device == "cuda":
        make_recorder = make_recorder or partial(CudaRecorder, torch.device("cuda:0"))
    if make_recorder is None:
        return "no CUDA device: nothing is captured"
    for reason in (worker.eager for worker in workers if worker.eager):
        tell(f"a worker took eager steps: {reason}")
        return False
    first = pickle.loads(file.read_bytes())[0]  # noqa: S301 - written by this process
    data = ResidentData(first, torch.device("cpu" if device == "cpu" else "cuda:0"))
    for precision in precisions:
        tell(f"captured steps beside eager ones, {precision}")
        settings = replace(TrainingSettings(), precision=precision, epochs=EPOCHS + 1)
        steps = EPOCHS * len(batch_sizes(len(data.train.labels), settings.batch_size))
        for network in networks:
            task = TrainingTask(parse(network), settings, data.key, seed=0)
            if different := difference_of(task, data, make_recorder, steps):
                tell(f"captured steps of '{network}' in {precision} are not the eager ones: {different}")
                return False
    return True


def packed_as_alone(workers: Sequence[Standing], network: str, settings: Mapping[str, Any]) -> Gate:
    """Whether candidates that share a device come to the very bits, weights and curve, of one that has it alone."""
    if len(workers) < 2:
        return "one core, or too large images: nothing runs beside another"
    chosen = {**settings, "epochs": 2}
    found = []
    for together in (workers[:1], workers):
        for worker in together:
            worker.ask(network, chosen, whole=False, digest=True)
        found += [worker.answer()["digest"] for worker in together]
    return all(one == found[0] for one in found)


def each_image_once(file: Path) -> Gate:
    """Whether every epoch trains on every image once, all of those in `file` (as of `ImageFiles.data`)."""
    data = ResidentData(pickle.loads(file.read_bytes())[1], torch.device("cpu"))  # noqa: S301 - written by this process
    seen: list[Tensor] = []

    class Noting(Eager):
        """Notes which images are trained on."""

        def step(self, rows: Tensor, moves: Tensor | None = None) -> None:
            """And trains on them."""
            seen.append(rows.clone())
            Eager.step(self, rows, moves)

    fit = Fit(
        TrainingTask(parse(SMALLEST), TrainingSettings(precision="fp32", epochs=EPOCHS), data.key, seed=0),
        data,
        Noting,
    )
    every = torch.arange(len(data.train.labels))
    for _ in range(EPOCHS):
        seen.clear()
        fit.run_epoch()
        if not torch.cat(seen).sort().values.equal(every):
            return False
    return True
