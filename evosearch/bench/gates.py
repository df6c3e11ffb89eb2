"""Gates of `bench evaluate`: without them no speed counts. One that cannot run here is skipped, with a word."""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evosearch.bench.standing import Standing
from evosearch.evaluation import TrainingSettings, TrainingTask
from evosearch.genome import parse
from evosearch.training.batches import ResidentData
from evosearch.training.fit import Fit
from evosearch.training.step import Eager

CAPTURED, ALONE, ONCE, BF16 = (
    "captured = eager",
    "packed = alone",
    "each image once per epoch",
    "bf16 = fp32",
)
"""Names of the gates; the last one is `equivalence`'s."""

EPOCHS = 3
"""In which the images are counted."""

SMALLEST = "B1 | F1"
"""The order of the images does not depend on the network."""

Gate = bool | str
"""Whether it is passed; a text: it cannot run here, and why."""


def captured_as_eager(device: str) -> Gate:
    """Whether captured steps train bit for bit as eager ones."""
    if device == "cpu":
        return "no CUDA device: nothing is captured"
    return "steps are not captured by this version"


def packed_as_alone(workers: Sequence[Standing], network: str, settings: Mapping[str, Any]) -> Gate:
    """Whether candidates that share a device come to the very bits, weights and curve, of one that has it alone."""
    if len(workers) < 2:
        return "one core, on which nothing runs beside another"
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
