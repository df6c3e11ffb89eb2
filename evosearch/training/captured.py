"""The steps of a training as CUDA graphs: recorded once, then replayed, one call on the host in place of some hundred.

A recorded step reads and writes the addresses that its tensors had when it was recorded. So what changes from step to step
(which images, how they are moved) is copied into tensors that stay, and everything else (weights, the optimizer's state, the
summed loss) is changed in place by whoever changes it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Protocol, TypeVar

import torch
from torch import Tensor, optim

from evosearch.evaluation import UNWATCHED, Progress
from evosearch.training.batches import Resident
from evosearch.training.step import Classifier, Eager, train_step

Recorded = TypeVar("Recorded")


class Graph(Protocol):
    """Work that was recorded."""

    def replay(self) -> None:
        """Do it again, on what its tensors hold now; random numbers go on from where the default generators are."""
        ...

    def reset(self) -> None:
        """Free what it holds."""
        ...


class Recorder(Protocol):
    """Makes the graphs of one training."""

    def record(self, work: Callable[[], None]) -> Graph:
        """`work` as a graph. Nothing is computed by it, and no random number is drawn.

        Raises:
            RuntimeError: it cannot be recorded; nothing has changed.
        """
        ...


class CudaRecorder:
    """Records on the current stream, which must be the one that all work of the training runs on, and not the default one.

    All graphs of a training share one pool of memory: they are replayed one after another, and none reads what another
    left there. The default generator of the GPU needs no registration: torch registers it with every graph, and each
    replay begins at the seed and the offset that it has then, so a state that was put in place before holds for replays, too.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, work: Callable[[], None]) -> Graph:
        """As in `Recorder`.

        Only this thread is held to what a capture permits: others report progress meanwhile, and the backward pass has
        one of its own. `torch.cuda.graph` would wait for the device, and hide by an error of its own why `work` failed.
        """
        random = torch.cuda.get_rng_state(self._device)
        torch.cuda.empty_cache()  # the pool can take nothing of what the allocator has kept of the eager steps
        graph = torch.cuda.CUDAGraph()
        graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
        try:
            work()
        except BaseException:
            with suppress(RuntimeError):  # of a capture that is void; it ends all the same
                graph.capture_end()
            graph.reset()
            torch.cuda.set_rng_state(random, self._device)
            raise
        graph.capture_end()
        return graph


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """One for all trainings of this process: each further one would keep workspaces of cuBLAS for ever."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call] # of torch


@contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """Within, everything runs on a stream of its own, since nothing can be captured on the default one; on a CPU, as ever.

    What was begun outside is done before, and what follows outside waits for it, on the device.
    """
    if device.type != "cuda":
        yield
        return
    stream, outside = _stream(device), torch.cuda.current_stream(device)
    stream.wait_stream(outside)
    try:
        with torch.cuda.stream(stream):
            yield
    finally:
        outside.wait_stream(stream)


@dataclass(slots=True)
class _Step:
    """A recorded step on batches of one size."""

    graph: Graph
    rows: Tensor
    """(B,) int64: where it reads the positions of its images."""
    moves: Tensor | None
    """(B, 3) int64: where it reads how they are moved."""

    def take(self, rows: Tensor, moves: Tensor | None) -> None:
        """The next replay trains on these."""
        self.rows.copy_(rows)
        if self.moves is not None and moves is not None:
            self.moves.copy_(moves)


@dataclass(frozen=True, slots=True)
class _Validation:
    """The recorded classification of the validation images."""

    graph: Graph
    logits: Tensor
    """(N, K) float32: where it leaves them."""


class CapturedStepper:
    """A `Stepper` whose steps are recorded.

    A size of batch is trained on eagerly the first time it occurs, as the validation images are classified: kernels are
    chosen, and memory that runs out is found, in steps that count. It is recorded before its second time. What cannot be
    recorded is told to `failed`, in one line, and everything from then on is eager; the results are the same.

    `recorder`: of this training alone. The other arguments: as in `Eager`.
    """

    def __init__(
        self,
        network: Classifier,
        optimizer: optim.Optimizer,
        split: Resident,
        loss_sum: Tensor,
        batch_size: int,
        class_weights: Tensor | None = None,
        *,
        recorder: Recorder,
        failed: Callable[[str], None],
    ) -> None:
        self._eager = Eager(network, optimizer, split, loss_sum, batch_size, class_weights)
        self._recorder = recorder
        self._failed = failed
        self._records = True
        self._met: set[int] = set()
        self._steps: dict[int, _Step] = {}
        self._images: Tensor | None = None
        self._classes = 0
        self._validation: _Validation | None = None

    def step(self, rows: Tensor, moves: Tensor | None = None) -> None:
        """As `train_step`."""
        size = len(rows)
        if self._records and size in self._met and size not in self._steps:
            recorded = self._recorded(lambda: self._record_step(rows, moves))
            if recorded is not None:
                self._steps[size] = recorded
        self._met.add(size)
        step = self._steps.get(size)
        if step is None:
            self._eager.step(rows, moves)
        else:
            step.take(rows, moves)
            step.graph.replay()

    def classify(self, images: Tensor, progress: Progress) -> Tensor:
        """As `classify`."""
        if self._records and images is self._images and self._validation is None:
            self._validation = self._recorded(lambda: self._record_validation(images))
        if self._validation is None or images is not self._images:
            found = self._eager.classify(images, progress)
            if self._images is None:
                self._images, self._classes = images, found.shape[1]
            return found
        self._eager.network.module.eval()
        self._validation.graph.replay()
        for _ in torch.split(images, self._eager.batch_size):
            progress.step()
        return self._validation.logits.clone()  # the next replay writes there again

    def close(self) -> None:
        """Destroy the graphs, all of them together: those of one stream share workspaces. What may follow is eager."""
        graphs = [step.graph for step in self._steps.values()]
        if self._validation is not None:
            graphs.append(self._validation.graph)
        self._records, self._validation = False, None
        self._steps.clear()
        for graph in graphs:
            graph.reset()

    def _recorded(self, record: Callable[[], Recorded]) -> Recorded | None:
        """What `record` makes; None where it fails, and then nothing is recorded any more."""
        self._eager.optimizer.zero_grad()  # gradients that a graph writes are its own, and lie in its memory
        drawn = torch.get_rng_state()
        try:
            made = record()
            if torch.get_rng_state().equal(drawn):
                return made
            reason = "it draws random numbers on the host, which a replay would repeat"
        except RuntimeError as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        torch.set_rng_state(drawn)
        self._eager.optimizer.zero_grad()
        self.close()
        self._failed(f"a step could not be captured ({reason}); its training went on eagerly")
        return None

    def _record_step(self, rows: Tensor, moves: Tensor | None) -> _Step:
        eager, own_rows = self._eager, rows.clone()
        own_moves = None if moves is None else moves.clone()
        graph = self._recorder.record(
            lambda: train_step(
                eager.network,
                eager.optimizer,
                eager.split,
                own_rows,
                eager.loss_sum,
                own_moves,
                eager.class_weights,
            )
        )
        return _Step(graph, own_rows, own_moves)

    def _record_validation(self, images: Tensor) -> _Validation:
        logits = torch.empty((len(images), self._classes), device=images.device)
        graph = self._recorder.record(lambda: _fill(logits, self._eager.classify(images, UNWATCHED)))
        return _Validation(graph, logits)


def _fill(place: Tensor, values: Tensor) -> None:
    place.copy_(values)
