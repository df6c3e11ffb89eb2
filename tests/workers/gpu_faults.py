"""Evaluators that ask too much of a GPU; sent to workers, so they have a module of their own."""

from dataclasses import dataclass

from evosearch.data import SearchData
from evosearch.evaluation import UNWATCHED, Evaluator, Progress, Result, Task, TrainingTask
from evosearch.testing import FormulaEvaluator
from evosearch.testing.pool_contract import BAD


@dataclass(frozen=True)
class TooLarge(FormulaEvaluator):
    """Its first evaluation of each process allocates what no GPU has."""

    def __call__(self, data: SearchData, _device: str) -> Evaluator:
        import torch

        torch.zeros(1, device="cuda:0")
        return self

    def handle(self, task: Task, progress: Progress = UNWATCHED) -> Result:
        import torch

        if not torch.cuda.memory_stats()["num_ooms"]:
            torch.empty(2**50, dtype=torch.uint8, device="cuda:0")
        return super().handle(task, progress)


@dataclass(frozen=True)
class AssertingForOne:
    """Holds the GPU as it begins, lets a kernel fail for the network `BAD`, and does what `inner` does for all others."""

    inner: FormulaEvaluator

    def __call__(self, data: SearchData, _device: str) -> Evaluator:
        import torch

        torch.zeros(1, device="cuda:0")
        return self

    def handle(self, task: Task, progress: Progress = UNWATCHED) -> Result:
        if isinstance(task, TrainingTask) and str(task.network) == BAD:
            return Asserting().handle(task, progress)
        return self.inner.handle(task, progress)


@dataclass(frozen=True)
class Asserting(FormulaEvaluator):
    """Reads beyond the end of a tensor, which a kernel asserts against; the process is of no use afterwards."""

    def handle(self, task: Task, progress: Progress = UNWATCHED) -> Result:
        import torch

        torch.zeros(4, device="cuda:0")[torch.tensor([9], device="cuda:0")].sum().item()
        return super().handle(task, progress)
