"""How many workers there are, where they run, and what each of them is made from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evosearch.data import SearchData
from evosearch.errors import ConfigError
from evosearch.evaluation import Evaluator

EvaluatorFactory: TypeAlias = Callable[[SearchData, str], Evaluator]
"""Called once in each worker process with the data and a torch device name, "cpu" or "cuda:0"; it is sent there,
so it must be picklable."""


@dataclass(frozen=True)
class WorkerSettings:
    """Where candidates are trained. Each field is a key under `workers`; none can change a result."""

    count: int | None = None
    """Workers, at least 1. None: one per GPU; without a GPU one per core divided by training.threads."""
    address: str | None = None
    """Address of the Ray cluster. None: RAY_ADDRESS where it is set, else a private cluster on this machine."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: GPUs where there are any, else the CPU."""

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise ConfigError(f"workers.count is {self.count}; it must be at least 1, or left out")
        if self.address is not None and not self.address.strip():
            raise ConfigError(
                "workers.address is empty; give an address such as 10.0.0.1:6379, or leave it out"
            )
