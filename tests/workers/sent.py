"""A factory that goes wrong on its way to a worker."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evosearch.evaluation import Evaluator


@dataclass(frozen=True)
class Sent:
    """Calls `function(*arguments)` where it is unpickled."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def __call__(self, data: object, device: str) -> Evaluator:
        raise AssertionError("is never called where it was made")

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.arguments
