"""Evaluators that take and free memory, and what the kernel and the worker's own count say of it."""

import resource
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from evosearch.data import SearchData
from evosearch.evaluation import UNWATCHED, EpochRecord, Evaluator, Progress, Success, Task, TrainingTask

MIB = 2**20


@dataclass(frozen=True)
class LargeLayer:
    """Trains a layer of 110 MiB for 24 steps; the loss of each epoch is how many pages the kernel had to clear in a step."""

    def __call__(self, data: SearchData, device: str) -> Evaluator:
        return self

    def handle(self, task: Task, progress: Progress = UNWATCHED) -> Success:
        import torch  # in the worker alone

        layer = torch.nn.Linear(4096, 7040, bias=False)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        faults = [_faults()]
        for _ in range(24):
            optimizer.zero_grad()
            layer(torch.ones(2, 4096)).sum().backward()
            optimizer.step()
            faults.append(_faults())
        return Success(
            0.5, 0.0, tuple(EpochRecord(float(now - before), 0.5) for before, now in pairwise(faults))
        )


def median_faults(result: object) -> float:
    """Pages cleared in a step of a `LargeLayer`: 28,160, its 110 MiB, where its gradient is mapped and unmapped; hardly one where
    memory is kept, but for the steps in which blocks find their places.
    """
    assert isinstance(result, Success)
    return median(record.loss for record in result.curve)


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


@dataclass(frozen=True)
class ComeAndGone:
    """Takes as many MiB as the task's seed, in blocks of one with a little above each that stays, and frees them again."""

    def __call__(self, data: SearchData, device: str) -> Evaluator:
        return self

    def handle(self, task: Task, progress: Progress = UNWATCHED) -> Success:
        assert isinstance(task, TrainingTask)
        blocks = [(bytearray(b"1" * MIB), bytearray(b"1" * 1024)) for _ in range(task.seed)]
        STAYS.extend(little for _, little in blocks)
        return Success(0.5, 0.0, (EpochRecord(0.5, 0.5),))


STAYS: list[object] = []
"""What a worker process goes on holding: a KiB for each MiB."""
