"""Our side of `bench evaluate`: a worker's evaluator in a process of its own, which trains one network after another, as workers do.

It is told what to train in lines of JSON, and answers each with what it used until which moment: on a CPU processor time, on
a GPU wall time, waiting for the device where it looks at the clock.
"""

import contextlib
import json
import pickle
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evosearch.bench.parts import Portion
from evosearch.bench.same_bits_probe import hashes
from evosearch.data import SearchData
from evosearch.errors import CannotRunError
from evosearch.evaluation import (
    Evaluator,
    Failure,
    Success,
    TrainingSettings,
    TrainingTask,
    Unwatched,
)
from evosearch.genome import parse
from evosearch.importing import child_environment
from workers.allocator import give_back
from workers.executors import train_on


def used(device: str) -> float:
    """Seconds, by the clock that counts on `device`."""
    if device == "cpu":
        found = resource.getrusage(resource.RUSAGE_SELF)
        return found.ru_utime + found.ru_stime
    import torch  # noqa: PLC0415 - the parent needs none

    torch.cuda.synchronize()
    return time.monotonic()


@dataclass
class Marks(Unwatched):
    """Notes the clock in each epoch after the full batches that are trained on, after all of them, after the full ones that are
    validated, and after all of them; twice after all where there is but one kind.
    """

    device: str
    portion: Portion
    """The images of an epoch."""
    found: list[float] = field(default_factory=list)
    batches: int = 0
    eager: str = ""
    """Why steps that were to be captured were taken eagerly; empty if none was."""

    def worn(self, why: str) -> None:
        """A capture failed."""
        self.eager = why

    def step(self) -> None:
        """A batch is done."""
        size = self.portion.batch
        training = max(1, (self.portion.train + size - 2) // size)  # a single image joins the batch before it
        validation = -(-self.portion.validation // size)
        self.batches = self.batches % (training + validation) + 1
        for places in (
            self.portion.train // size or training,
            training,
            training + (self.portion.validation // size or validation),
            training + validation,
        ):
            if self.batches == places:
                self.found.append(used(self.device))


def _answer(request: Mapping[str, Any], evaluators: Mapping[bool, Any], data: Any, device: str) -> Any:
    settings = TrainingSettings(**request["settings"])
    chosen = data[request["whole"]]
    marks = Marks(device, Portion(len(chosen.train), len(chosen.validation), settings.batch_size))
    digest: dict[str, Any] = {}
    with TemporaryDirectory() as folder:
        weights = str(Path(folder, "weights")) if request["digest"] else None
        task = TrainingTask(parse(request["network"]), settings, chosen.key, request["seed"], weights)
        begun = used(device)
        outcome = evaluators[request["whole"]].handle(task, marks)
        give_back()
        marks.found.append(used(device))
        if weights and isinstance(outcome, Success):
            digest = hashes(Path(weights))  # of the tensors: the file's header has no order
    if isinstance(outcome, Failure):
        return {"failure": f"'{request['network']}' ended as {outcome.kind}: {outcome.message}"}
    return {
        "marks": [mark - begun for mark in marks.found],
        "fitness": outcome.fitness,
        "digest": [digest, [repr(one) for one in outcome.curve]],
        "eager": marks.eager,
    }


def train_eagerly(data: SearchData, device: str) -> Evaluator:
    """As `train_on`, but that no step is captured anywhere."""
    from evosearch.training import Trainer, probe  # noqa: PLC0415 - of torch, which the parent does not need

    probe(data, device)
    return Trainer(data, device)


def main(device: str, data: str, steps: str) -> None:
    """Answer requests until there are no more. `steps`: captured or eager."""
    begun = 0.0 if device == "cpu" else time.monotonic()
    pair = pickle.loads(Path(data).read_bytes())  # noqa: S301 - written by the process that started this one
    make = train_on if steps == "captured" else train_eagerly
    evaluators: dict[bool, Any] = {
        whole: make(pair[whole], "cpu" if device == "cpu" else "cuda:0") for whole in (False, True)
    }
    give_back()
    captures = all(one.captures for one in evaluators.values())
    sys.stdout.write(json.dumps({"start": used(device) - begun, "captures": captures}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_answer(json.loads(line), evaluators, pair, device)) + "\n")
        sys.stdout.flush()


class Standing:
    """Such a process, from the side of who asks it; close it.

    `captured`: on a GPU its steps are to be captured. `start`: seconds until it could train. `eager`: why steps that were to be
    captured were taken eagerly; empty if none was.
    """

    def __init__(
        self, device: str, data: Path, environment: Mapping[str, str], *, captured: bool = True
    ) -> None:
        self._errors = TemporaryDirectory(prefix="evosearch-evaluate-")
        said = Path(self._errors.name, "said")
        with said.open("wb") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [
                    *(sys.executable, "-P", "-m", "evosearch.bench.standing", device, str(data)),
                    "captured" if captured else "eager",
                ],
                env={**environment, **child_environment()},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._said = said
        try:
            begun = self._read()
        except BaseException:
            self.close()
            raise
        self.start: float = begun["start"]
        wanted = captured and device == "cuda"
        self.eager = "those of its probe differ" if wanted and not begun["captures"] else ""

    def ask(
        self, network: str, settings: Mapping[str, Any], *, whole: bool, seed: int = 0, digest: bool = False
    ) -> None:
        """Have it train `network` on all images, or on the first few; `answer` waits for it.

        `settings`: of the training. `digest`: of its weights, too.
        """
        request = {
            "network": network,
            "settings": dict(settings),
            "whole": whole,
            "seed": seed,
            "digest": digest,
        }
        assert self._process.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """What came of it: `marks`, `fitness`, `digest`.

        Raises:
            CannotRunError: the training failed, or the process died.
        """
        found = self._read()
        if "failure" in found:
            raise CannotRunError(found["failure"])
        self.eager = self.eager or found["eager"]
        return found

    def close(self) -> None:
        """End it; whoever waits for an answer is told."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # a request that it did not read
                    pipe.close()
        self._errors.cleanup()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        line = self._process.stdout.readline()
        if not line:
            said = self._said.read_text(errors="replace").split("\n") if self._said.exists() else []
            last = next((one.strip() for one in reversed(said) if one.strip()), "without a word")
            raise CannotRunError(f"a process that trains for the benchmark ended: {last}")
        found: dict[str, Any] = json.loads(line)
        return found


if __name__ == "__main__":
    main(*sys.argv[1:4])
