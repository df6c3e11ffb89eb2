"""Trainings that only sleep, and leave a note of when: what a scheduler costs, measured by whoever is scheduled.

Each process writes a file of its own, named by its id, so that every contender of a benchmark is timed alike.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from evosearch.data import SearchData
from evosearch.evaluation import (
    UNWATCHED,
    Evaluator,
    Progress,
    Result,
    Success,
    Task,
    TrainingTask,
)
from evosearch.genome import Chromosome

GATE_SECONDS = 300.0
"""Longest wait for the other slots; a process takes a second to start, and 64 may share two cores."""


@dataclass(frozen=True, slots=True)
class Nap:
    """Seconds to sleep. `gate`: instead, sleep until so many processes have come to this point; 0: no gate."""

    seconds: float
    gate: int = 0


def take_nap(nap: Nap, folder: str) -> None:
    """Sleep, and leave a note in `folder`.

    Raises:
        TimeoutError: the others did not come to the gate.
    """
    if nap.gate:
        _wait_for_others(nap.gate, Path(folder))
        return
    _note(folder, f"began {time.time()} {nap.seconds}")
    time.sleep(nap.seconds)
    _note(folder, f"ended {time.time()}")


@dataclass(frozen=True)
class SleepingEvaluator:
    """Sleeps for as long as `seconds` says of a chromosome, and calls half of it right; its own factory."""

    seconds: Callable[[Chromosome], float]
    folder: str

    def __call__(self, _data: SearchData, _device: str) -> Evaluator:
        """Itself."""
        return self

    def handle(self, task: Task, progress: Progress = UNWATCHED) -> Result:
        """A fitness of 0.5, in time.

        Raises:
            NotImplementedError: of a prediction.
        """
        if not isinstance(task, TrainingTask) or not isinstance(task.network, Chromosome):
            raise NotImplementedError("a sleeper trains chromosomes, and predicts nothing")
        nap = Nap(self.seconds(task.network))
        take_nap(nap, self.folder)
        progress.step()
        return Success(0.5, nap.seconds)


@dataclass(frozen=True, slots=True)
class Slept:
    """One nap as it was: seconds since 1970, of one machine. `seconds`: as asked for. `end`: None if cut short."""

    process: int
    begin: float
    seconds: float
    end: float | None = None


def read_notes(folder: str) -> list[Slept]:
    """All naps in `folder`, in the order in which they began."""
    naps: list[Slept] = []
    for file in Path(folder).iterdir():
        if not file.name.isdigit():
            continue
        process: list[Slept] = []
        for line in file.read_text().splitlines():
            what, *numbers = line.split()
            if what == "began":
                process.append(Slept(int(file.name), *map(float, numbers)))
            else:
                process[-1] = replace(process[-1], end=float(numbers[0]))
        naps += process
    return sorted(naps, key=lambda nap: nap.begin)


def _note(folder: str, line: str) -> None:
    with (Path(folder) / str(os.getpid())).open("a") as file:
        file.write(f"{line}\n")


def _wait_for_others(count: int, folder: Path) -> None:
    (folder / f"gate-{os.getpid()}").touch()
    deadline = time.monotonic() + GATE_SECONDS
    while len(list(folder.glob("gate-*"))) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"{count} processes were to run at once, and did not within {GATE_SECONDS:.0f} s"
            )
        time.sleep(0.01)
