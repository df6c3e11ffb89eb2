import itertools
import pickle
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from evosearch.data import SearchData, Split
from evosearch.errors import EvaluationError
from evosearch.evaluation import Failure, FailureKind, Success, TrainingTask, Unwatched
from evosearch.training import StepTimer, Trainer, probe

Ask = Callable[..., TrainingTask]

AFTER_A_PROBE = """
import pickle, sys
from evosearch.training import Trainer, probe
data, task = pickle.load(sys.stdin.buffer)
probe(data, "cpu")
sys.stdout.buffer.write(pickle.dumps(Trainer(data).handle(task)))
"""


def test_an_evaluation_after_a_probe_has_the_bits_of_one_without(data: SearchData, ask: Ask) -> None:
    task = ask("B40 C30 P | F50")
    here = Trainer(data).handle(task)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", AFTER_A_PROBE],
        input=pickle.dumps((data, task)),
        capture_output=True,
        check=True,
    )
    there = pickle.loads(run.stdout)
    assert isinstance(here, Success)
    assert there.curve == here.curve


@pytest.mark.parametrize(("images", "side"), [(1, 2), (2, 1), (40, 224)])
def test_a_probe_fits_any_data(images: int, side: int, device: str) -> None:
    split = Split(np.zeros((images, 1, side, side), np.uint8), np.arange(images) % 2)
    large = SearchData(split, split, ("no", "yes"), "key")
    probe(large, device)


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA error: no kernel image is available"), ImportError("libcudnn.so.9")]
)
def test_a_probe_that_goes_wrong_says_so(
    data: SearchData, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(Trainer, "handle", fails)
    with pytest.raises(EvaluationError, match=f"^the probe step failed: {type(error).__name__}: {error}"):
        probe(data, "cpu")


def test_a_probe_that_fails_as_a_candidate_would_says_so_too(
    data: SearchData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "handle", lambda *_: Failure(FailureKind.OUT_OF_MEMORY, "no memory"))
    with pytest.raises(EvaluationError, match=r"^the probe step failed: no memory$"):
        probe(data, "cpu")


@pytest.mark.parametrize("epochs", [1, 7, 400])
def test_a_few_steps_tell_what_the_whole_training_takes(data: SearchData, ask: Ask, epochs: int) -> None:
    """With a clock on which each look takes a second: the first step takes one, five more take six together."""
    ticks = itertools.count()
    task = ask("C4 | F5", epochs=epochs, batch_size=4)
    timer = StepTimer(data, "cpu", seconds=5.0, clock=lambda: float(next(ticks)))
    validation = -(-len(data.validation.labels) // 4) / 3  # forward passes alone
    of_epoch = -(-len(data.train.labels) // 4) + validation
    outcome = timer.handle(task)
    assert isinstance(outcome, Success)
    looked = next(ticks)
    assert looked < 12
    least, most = epochs * of_epoch * 0.5, 2 + epochs * of_epoch * 1.5
    assert least < outcome.seconds < most


def test_measuring_trains_no_further_than_its_seconds(data: SearchData, ask: Ask) -> None:
    steps = Counted()
    ticks = itertools.count()
    timer = StepTimer(data, "cpu", seconds=5.0, clock=lambda: float(next(ticks)))
    timer.handle(ask("C4 | F5", epochs=400, batch_size=4), steps)
    assert steps.count == 5


class Counted(Unwatched):
    count = 0

    def step(self) -> None:
        self.count += 1
