"""What is sent to workers: factories that go wrong on their way or in all workers but one, a store that goes away."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evosearch.data import SearchData
from evosearch.evaluation import Evaluator
from evosearch.testing import FormulaEvaluator


@dataclass(frozen=True)
class Sent:
    """Calls `function(*arguments)` where it is unpickled."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def __call__(self, data: object, device: str) -> Evaluator:
        raise AssertionError("is never called where it was made")

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.arguments


@dataclass(frozen=True)
class FirstOnly:
    """A factory that works once: for whoever first leaves a file in `folder`."""

    folder: str

    def __call__(self, data: SearchData, device: str) -> Evaluator:
        (Path(self.folder) / "taken").touch(exist_ok=False)
        return FormulaEvaluator()(data, device)


@dataclass(frozen=True)
class GoneWhen:
    """An artifact store that cannot be reached any more as soon as there is a file at `path`."""

    path: str

    def __call__(self) -> str | None:
        return "it is gone" if Path(self.path).exists() else None
