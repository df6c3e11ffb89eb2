"""A worker captures only where eight captured steps have the bits of eight eager ones."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from evosearch.blueprint import ImageShape
from evosearch.data import SearchData
from evosearch.errors import DivergedError
from evosearch.training import gate, recorder_for
from evosearch.training.gate import difference
from tests.training.stand_in import Graph, StandIn

CPU = torch.device("cpu")


@pytest.mark.parametrize("image", [ImageShape(3, 8, 8), ImageShape(1, 1, 2)])
def test_captured_steps_that_are_the_same_pass_on_any_image(image: ImageShape) -> None:
    made: list[StandIn] = []

    def make() -> StandIn:
        made.append(StandIn())
        return made[-1]

    assert difference(image, CPU, make) == ""
    assert [[graph.replays for graph in one.graphs] for one in made] == [[5, 1, 1]] * 2, (
        "in both precisions: full batches, the partial one, the validation"
    )


@pytest.mark.parametrize(
    ("has_bf16", "hip", "expected"),
    [(True, None, ("fp32", "tf32", "bf16")), (False, None, ("fp32",)), (True, "6.4", ("fp32", "bf16"))],
)
def test_captured_steps_are_compared_in_each_precision_that_a_gpu_computes_in(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool, hip: str | None, expected: tuple[str, ...]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: has_bf16)
    monkeypatch.setattr(torch.version, "hip", hip)
    assert gate._precisions(torch.device("cuda:0")) == expected


class Idle(Graph):
    """A replay that does nothing."""

    def replay(self) -> None:
        pass


class Careless(StandIn):
    """Graphs of which the last recorded one does nothing when it is replayed."""

    def __init__(self, idle: int) -> None:
        super().__init__()
        self._idle = idle

    def record(self, work: Callable[[], None]) -> Any:
        graph = super().record(work)
        return Idle(()) if len(self.graphs) == self._idle else graph


@pytest.mark.parametrize("idle", [1, 2])
def test_one_whose_replays_of_a_size_do_nothing_is_found(idle: int) -> None:
    assert difference(ImageShape(3, 8, 8), CPU, lambda: Careless(idle)).startswith("fp32: other bits in '")


def test_one_whose_random_numbers_are_those_of_another_state_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replay = Graph.replay

    def drawing(graph: Graph) -> None:
        torch.rand(1)
        replay(graph)

    monkeypatch.setattr(Graph, "replay", drawing)
    assert difference(ImageShape(3, 8, 8), CPU, StandIn).startswith("fp32: other bits in '")


def test_one_that_cannot_capture_is_found_though_its_bits_would_be_the_same() -> None:
    found = difference(ImageShape(3, 8, 8), CPU, lambda: StandIn(fails=2))
    assert found.startswith("fp32: a step could not be captured (RuntimeError: CUDA error:")
    assert "\n" not in found


@pytest.mark.parametrize("kind", [RuntimeError, DivergedError])
def test_one_that_breaks_while_it_replays_is_found(
    monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def broken(graph: Graph) -> None:
        raise kind("CUDA error: unspecified\nlaunch failure")

    monkeypatch.setattr(Graph, "replay", broken)
    found = difference(ImageShape(3, 8, 8), CPU, StandIn)
    assert found == f"fp32: {kind.__name__}: CUDA error: unspecified launch failure"


def test_on_a_cpu_nothing_is_tried(data: SearchData) -> None:
    assert recorder_for(data, "cpu") is None


def test_a_worker_that_does_not_capture_says_so_in_one_line(
    data: SearchData, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gate, "difference", lambda *_: "bf16: other bits in 'module.0.weight'")
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    assert recorder_for(data, "cuda:1") is None
    (line,) = caplog.messages
    assert line == (
        "on cuda:1 steps are not captured (bf16: other bits in 'module.0.weight'): this worker trains eagerly, "
        "to the same results"
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_on_a_gpu_captured_steps_are_eager_ones_and_are_taken(data: SearchData) -> None:
    assert (
        difference(ImageShape(3, 32, 32), torch.device("cuda"), recorder_for(data, "cuda:0") or pytest.fail)
        == ""
    )
