"""Who is measured in `bench evaluate`: each trains networks, as many at once as it is given, and says what that used."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any, Literal, Protocol

from evosearch.bench import gates, ordinary
from evosearch.bench.image_files import ImageFiles
from evosearch.bench.limits import computes_bf16
from evosearch.bench.parts import Portion
from evosearch.bench.standing import Standing
from evosearch.errors import CannotRunError
from evosearch.importing import child_environment
from evosearch.runtime import WorkerSettings
from workers.allocator import SETTINGS, allocator_environment, c_library
from workers.slots import thread_environment

RECYCLED = WorkerSettings().recycle_after or 1
"""A worker trains so many networks before another one takes its place, so each bears that part of its start."""


def environment(*, kept: bool) -> dict[str, str]:
    """Variables of a process with one thread; `kept`: with the allocator's settings that our workers get."""
    plain = {name: value for name, value in os.environ.items() if name not in (*SETTINGS, "GLIBC_TUNABLES")}
    memory = allocator_environment(plain, c_library()) if kept else {}
    return {**plain, **memory, **thread_environment(1)}


@cache
def laid_out() -> list[str]:
    """What a program is started by for its memory to lie where it lay before; nothing where the system refuses that.

    With a C library that gives memory back, a step of the tuned loop costs a third more or not, for as long as its process lives and
    as its addresses happen to fall. Rounds draw that by Python's hash seed and the length of the command, and a whole training repeats
    the draw of its round.
    """
    fixed = ["setarch", "--addr-no-randomize"]
    try:
        refused = subprocess.run([*fixed, "true"], check=False, capture_output=True).returncode  # noqa: S603 - of util-linux
    except OSError:  # a system without it
        return []
    return [] if refused else fixed


def as_argument(job: ordinary.Job, luck: int) -> str:
    """`job` for a command line: as long as its `luck` says, whatever is in it."""
    return json.dumps(asdict(job)).ljust(1000 * (1 + luck))


class Contender(Protocol):
    """One way to train."""

    @property
    def name(self) -> str:
        """In tables and documents."""
        ...

    @property
    def what(self) -> str:
        """In words."""
        ...

    @property
    def precision(self) -> str:
        """Of its products: fp32 or bf16."""
        ...

    @property
    def together(self) -> int:
        """How many candidates it trains at once."""
        ...

    @property
    def gates(self) -> tuple[str, ...]:
        """Without which its figures are void."""
        ...

    def run(self, networks: Sequence[str], epochs: int, *, whole: bool, luck: int = 0) -> list[list[float]]:
        """Train each of up to `together` networks, all at once; `whole`: on all images; `luck`: where a program's memory lies.

        Returns: for each the seconds used after the training and after the validation of each epoch, and at its end.
        """
        ...


@dataclass(frozen=True)
class Ordinary:
    """A program per candidate: `evosearch.bench.ordinary`."""

    name: str
    what: str
    precision: str
    job: ordinary.Job
    portions: tuple[Portion, Portion]
    environment: Mapping[str, str]
    together: int = 1
    gates: tuple[str, ...] = ()

    def run(self, networks: Sequence[str], epochs: int, *, whole: bool, luck: int = 0) -> list[list[float]]:
        """As `Contender.run`.

        Raises:
            CannotRunError: one failed.
        """
        portion = self.portions[whole]
        processes = []
        for network in networks:
            job = replace(
                self.job,
                network=network,
                train=portion.train,
                validation=portion.validation,
                epochs=epochs,
                started=0.0 if self.job.device == "cpu" else time.monotonic(),
            )
            processes.append(
                subprocess.Popen(  # noqa: S603 - our own program
                    [*laid_out(), sys.executable, "-P", "-m", ordinary.__name__, as_argument(job, luck)],
                    env={**self.environment, **child_environment(), "PYTHONHASHSEED": str(luck)},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        found = [process.communicate() for process in processes]
        for process, (_, said) in zip(processes, found, strict=True):
            if process.returncode:
                raise CannotRunError(f"{self.name} failed: {(said.strip().splitlines() or ['?'])[-1]}")
        marks: list[list[float]] = [json.loads(out)["marks"] for out, _ in found]
        return [[*one, one[-1]] for one in marks]  # its end costs it nothing


def ordinary_job(files: ImageFiles, size: int, device: str, *, tuned: bool, bf16: bool) -> ordinary.Job:
    """A job of which only the network, the number of images and the epochs are missing."""
    listed, decoded = str(files.listed), str(files.decoded)
    return ordinary.Job("", size, device, tuned, listed, decoded, 0, 0, 0, bf16=bf16)


@dataclass(frozen=True)
class Ours:
    """Workers that stand; `settings`: of the training, but for its epochs."""

    name: str
    what: str
    precision: str
    settings: Mapping[str, Any]
    workers: tuple[Standing, ...]
    gates: tuple[str, ...]
    captured: bool = False
    """Whether its steps are captured ones."""

    @property
    def together(self) -> int:
        """Each worker trains one."""
        return len(self.workers)

    def run(
        self,
        networks: Sequence[str],
        epochs: int,
        *,
        whole: bool,
        luck: int = 0,  # noqa: ARG002 - where the memory of workers lies was drawn when they started
    ) -> list[list[float]]:
        """As `Contender.run`; each candidate bears its part of a worker's start.

        Raises:
            CannotRunError: one failed.
        """
        chosen = list(zip(self.workers, networks, strict=False))
        for worker, network in chosen:
            worker.ask(network, {**self.settings, "epochs": epochs}, whole=whole)
        return [[mark + worker.start / RECYCLED for mark in worker.answer()["marks"]] for worker, _ in chosen]


@dataclass(frozen=True)
class Rung:
    """One of the ladder: workers of ours. `kept`: with the allocator's settings that they get. `captured`: with captured steps."""

    precision: Literal["fp32", "bf16"]
    kept: bool
    captured: bool = False

    def name(self, device: str) -> str:
        """What tells it from the others on `device`."""
        if device == "cuda":
            return f"{self.precision}, {'captured' if self.captured else 'eager'}"
        return f"{self.precision}{', memory kept' if self.kept else ''}"

    def what(self, device: str) -> str:
        """In words."""
        if device == "cuda":
            steps = "captured steps" if self.captured else "eager steps"
        else:
            steps = "its memory kept" if self.kept else "its memory given back at each step"
        return f"a standing worker, {self.precision}, {steps}"

    @property
    def gates(self) -> tuple[str, ...]:
        """Without which its figures are void."""
        captured = (gates.CAPTURED,) if self.captured else ()
        return (gates.ONCE, *captured, *((gates.BF16,) if self.precision == "bf16" else ()))


def rungs(device: str) -> tuple[Rung, ...]:
    """Of the ladder. On a CPU memory is a step of it, on a GPU whether steps are captured is. bf16 is where `device` computes it:
    a CPU that does not would take hours.
    """
    precisions: tuple[Literal["fp32", "bf16"], ...] = ("fp32", "bf16") if computes_bf16(device) else ("fp32",)
    if device == "cpu":
        return (*(Rung(one, kept=False) for one in precisions), Rung(precisions[-1], kept=True))
    return tuple(Rung(one, kept=True, captured=captured) for one in precisions for captured in (False, True))
