"""What is sent to workers: factories that go wrong on their way or in all workers but one, a store that goes away, a stand-in for
NVIDIA's MPS.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evosearch.data import SearchData
from evosearch.evaluation import Evaluator
from evosearch.runtime import EvaluatorFactory
from evosearch.testing import FormulaEvaluator
from workers import mps


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


def stand_in(folder: Path) -> Path:
    """The folder, made, with a stand-in for NVIDIA's control program."""
    folder.mkdir(parents=True)
    program = Path(__file__).with_name("control.py").read_text()
    (folder / mps.CONTROL).write_text(f"#!{sys.executable} -P\n{program}")
    (folder / mps.CONTROL).chmod(0o755)
    return folder


@dataclass(frozen=True)
class WithStandIn:
    """`inner`, in workers to which the stand-in in the folder `control` is NVIDIA's program, and `base` the place for folders."""

    inner: EvaluatorFactory
    control: str
    base: str

    def __call__(self, data: SearchData, device: str) -> Evaluator:
        raise AssertionError("is never called where it was made")

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _met_stand_in, (self.inner, self.control, self.base)


def _met_stand_in(inner: EvaluatorFactory, control: str, base: str) -> EvaluatorFactory:
    os.environ["PATH"] = f"{control}{os.pathsep}{os.environ['PATH']}"
    mps.SHORT, mps.TRIAL = Path(base), ""
    return inner
