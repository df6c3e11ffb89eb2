"""A real training whose process is killed again and again, at any moment and while it writes a checkpoint.

Each life of it is a process of its own, forked from one that has imported what it needs: starting Python and torch takes
longer than the training's epochs.
"""

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from evosearch.data import SearchData, Split
from evosearch.evaluation import Checkpoint, EpochRecord, Success, TrainingSettings, TrainingTask
from evosearch.genome import parse
from evosearch.training import Trainer, checkpoints
from evosearch.training.batches import ResidentData
from evosearch.training.fit import Fit

TRAIN, VALIDATION, BATCH = 330, 40, 16
EPOCH_BATCHES = -(-TRAIN // BATCH) + -(-VALIDATION // BATCH)


def make_data() -> SearchData:
    """Random images of 3 x 16 x 16 pixels in two classes."""
    rng = np.random.default_rng(0)

    def split(count: int) -> Split:
        images = rng.integers(0, 256, (count, 3, 16, 16), dtype=np.uint8)
        return Split(images, np.arange(count, dtype=np.int64) % 2)

    return SearchData(split(TRAIN), split(VALIDATION), ("no", "yes"), "kills")


def make_task(folder: Path) -> TrainingTask:
    """Batch norm, dropout, a partial batch; a checkpoint after each epoch."""
    settings = TrainingSettings(epochs=10_000, batch_size=BATCH, learning_rate=1e-3)
    rule = Checkpoint(str(folder / "checkpoints"), "key", every_epochs=1)
    network = parse("C16 B24 P B24 P | F32")
    return TrainingTask(network, settings, "kills", 5, str(folder / "weights"), checkpoint=rule)


def undisturbed(task: TrainingTask, seconds: float) -> tuple[int, str]:
    """Train for at least so many seconds; how many epochs that were, and a digest of what came of it."""
    torch.set_num_threads(1)
    fit = Fit(task, ResidentData(make_data(), torch.device("cpu")))
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        fit.run_epoch()
    return len(fit.curve), digest(fit.network.module.state_dict())


def digest(tensors: dict[str, torch.Tensor]) -> str:
    """Of weights and buffers, bit for bit."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


@dataclass
class Life:
    """The `Progress` of one life: each batch is a byte in `trace`; soon after the one that `last` counts down to a signal
    ends it, wherever it stands then.
    """

    trace: int
    last: int
    delay: float

    def step(self) -> None:
        os.write(self.trace, b".")
        self.last -= 1
        if self.last == 0:
            signal.setitimer(signal.ITIMER_REAL, self.delay)

    def epoch(self, record: EpochRecord) -> None:
        """Nothing."""


def live(task: TrainingTask, folder: Path, last: int, share: float, *, in_write: bool) -> None:
    """Go on with the training until about batch `last` of this life, from 1; 0: to its end.

    `share`, 0 to 1: how long after that batch it is killed, in hundredths of a second. `in_write`: it is killed instead
    in the next write after that batch, when so much of the file is on the disk.
    """
    torch.set_num_threads(1)
    trace = os.open(folder / "trace", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    life = Life(trace, 0 if in_write else last, max(share, 0.01) / 100)
    if in_write:
        checkpoints.save_file = _dying(checkpoints.save_file, share, last // EPOCH_BATCHES)
    outcome = Trainer(make_data()).handle(task, life)
    assert isinstance(outcome, Success)
    assert len(outcome.curve) == task.until


def _dying(save_file: Callable[..., None], share: float, spared: int) -> Callable[..., None]:
    left = iter(range(spared))

    def save(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str]) -> None:
        save_file(tensors, path, metadata)
        if next(left, None) is None:
            os.truncate(path, int(share * path.stat().st_size))
            os.kill(os.getpid(), signal.SIGKILL)

    return save


def survive(kills: int, writes: int, seconds: float, folder: Path) -> None:
    """Kill a training of at least so many seconds so often over its life, `writes` times while it writes a checkpoint,
    and see that it ends as if nothing had happened, at most one epoch trained again for each kill.

    It runs in a process of its own, and what it forks ends with that.
    """
    program = (
        f"from tests.training.kills import _survive; _survive({kills}, {writes}, {seconds}, {str(folder)!r})"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def _survive(kills: int, writes: int, seconds: float, place: str) -> None:
    folder = Path(place)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.kills"])
    epochs, expected = undisturbed(make_task(folder), seconds)
    task = replace(make_task(folder), until=epochs)
    rng = np.random.default_rng(kills)
    for number, in_write in enumerate(rng.permutation([True] * writes + [False] * (kills - writes)).tolist()):
        left = epochs * EPOCH_BATCHES - _progress(folder)
        # the lives are about equally long, so that kills fall into all of the training
        longest = min(2 * left // (kills - number + 1), left - EPOCH_BATCHES)
        last = int(rng.integers(1, max(2, longest)))
        life = context.Process(
            target=live, args=(task, folder, last, float(rng.random())), kwargs={"in_write": in_write}
        )
        life.start()
        life.join()
        assert life.exitcode == -(signal.SIGKILL if in_write else signal.SIGALRM), number
    life = context.Process(target=live, args=(task, folder, 0, 0.0), kwargs={"in_write": False})
    life.start()
    life.join()
    assert life.exitcode == 0
    _see_that_it_ended_so(epochs, kills, expected, folder)


def _see_that_it_ended_so(epochs: int, kills: int, expected: str, folder: Path) -> None:
    assert digest(load_file(folder / "weights")) == expected
    trained = (folder / "trace").stat().st_size
    assert epochs * EPOCH_BATCHES < trained <= (epochs + kills) * EPOCH_BATCHES
    again = trained / EPOCH_BATCHES - epochs
    print(f"{epochs} epochs, {kills} kills, {again:.1f} epochs trained again")  # noqa: T201 - for who runs it


def _progress(folder: Path) -> int:
    """Batches of the training that need not be trained again."""
    names = sorted(path.name for path in (folder / "checkpoints" / "key").glob("epoch-*"))
    return int(names[-1][6:12]) * EPOCH_BATCHES if names else 0
