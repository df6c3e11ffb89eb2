"""An evaluator that eats its host's memory, and one that leaves a trace of each evaluation."""

import os
from dataclasses import dataclass
from pathlib import Path

from evosearch.data import SearchData
from evosearch.evaluation import (
    UNWATCHED,
    Evaluator,
    Progress,
    Result,
    Task,
)
from evosearch.testing import FormulaEvaluator

WATCHED = "RAY_memory_usage_threshold"
"""The environment variable of a node whose memory monitor kills early; its workers inherit it."""


@dataclass(frozen=True)
class GreedyEvaluator:
    """The first evaluation on a node with `WATCHED` takes up to `mebibytes`; all others are `inner`'s.

    `folder`: where it leaves a file when it has struck.
    """

    folder: str
    mebibytes: int
    inner: FormulaEvaluator

    def __call__(self, _data: SearchData, _device: str) -> Evaluator:
        return self

    def handle(self, task: Task, progress: Progress = UNWATCHED) -> Result:
        if WATCHED in os.environ and self._is_first():
            eaten = []
            for _ in range(self.mebibytes):
                eaten.append(bytearray(os.urandom(1024)) * 1024)
                progress.step()
            raise AssertionError(f"nobody minded that {len(eaten)} MiB were taken")
        return self.inner.handle(task, progress)

    def _is_first(self) -> bool:
        try:
            Path(self.folder, "struck").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


@dataclass(frozen=True)
class TracingEvaluator:
    """`inner`, which leaves a file in `folder` when it has ended an evaluation; see `traces`."""

    folder: str
    inner: FormulaEvaluator

    def __call__(self, _data: SearchData, _device: str) -> Evaluator:
        return self

    def handle(self, task: Task, progress: Progress = UNWATCHED) -> Result:
        outcome = self.inner.handle(task, progress)
        Path(self.folder, f"{task.network.key}-{os.getpid()}").touch()
        return outcome


def traces(folder: Path) -> set[tuple[str, int]]:
    """Which networks, by key, were evaluated to the end in which processes."""
    return {(key, int(pid)) for key, _, pid in (file.name.partition("-") for file in folder.iterdir())}
