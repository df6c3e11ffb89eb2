"""A small data set that a network can learn, and tasks for it."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from evosearch.data import SearchData, Split
from evosearch.evaluation import TrainingSettings, TrainingTask
from evosearch.genome import parse_network

Ask = Callable[..., TrainingTask]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads on tiny tensors take ten times as long as one where anything else runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("this machine has no GPU")
    return str(request.param)


@pytest.fixture
def data() -> SearchData:
    """21 training and 10 validation images of 3x8x8; class 1 is brighter in its lower half."""
    rng = np.random.default_rng(0)

    def split(count: int) -> Split:
        labels = np.arange(count, dtype=np.int64) % 2
        images = rng.integers(0, 128, (count, 3, 8, 8), dtype=np.uint8)
        images[:, :, 4:] += (labels * 100).astype(np.uint8)[:, None, None, None]
        return Split(images, labels)

    return SearchData(split(21), split(10), ("dark", "bright"), "key-of-the-data")


@pytest.fixture
def ask() -> Ask:
    """Make a task; keywords change its settings, except `text`, `seed`, `data_key` and `weights`."""

    def made(
        text: str = "C6 B8 P | F8",
        *,
        seed: int = 7,
        data_key: str = "key-of-the-data",
        weights: str | None = None,
        **settings: object,
    ) -> TrainingTask:
        base = TrainingSettings(epochs=3, batch_size=4, learning_rate=1e-2, precision="fp32")
        return TrainingTask(parse_network(text), replace(base, **settings), data_key, seed, weights)

    return made
