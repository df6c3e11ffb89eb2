import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evosearch.training.batches import batch_sizes, epoch_order


@pytest.mark.parametrize(
    ("images", "batch_size", "sizes"),
    [
        (12, 4, [4, 4, 4]),
        (14, 4, [4, 4, 4, 2]),
        (13, 4, [4, 4, 5]),  # a single one left over joins the batch before it
        (3, 4, [3]),
        (1, 4, [1]),
        (425, 16, [16] * 26 + [9]),  # COVID-CT
    ],
)
def test_the_partial_last_batch_is_trained(images: int, batch_size: int, sizes: list[int]) -> None:
    assert batch_sizes(images, batch_size) == sizes


@given(st.integers(2, 3000), st.integers(2, 64))
def test_batches_hold_every_image_and_never_one_alone(images: int, batch_size: int) -> None:
    sizes = batch_sizes(images, batch_size)
    assert sum(sizes) == images
    assert 2 <= min(sizes) <= max(sizes) <= batch_size + 1


@given(st.integers(1, 500), st.integers(0, 2**63 - 1), st.integers(1, 1000))
def test_an_epoch_takes_every_image_once(images: int, seed: int, epoch: int) -> None:
    order = epoch_order(images, seed, epoch)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(images))


def test_each_epoch_and_each_seed_has_its_own_order() -> None:
    orders = {tuple(epoch_order(20, seed, epoch).tolist()) for seed in range(5) for epoch in range(1, 6)}
    assert len(orders) == 25
    assert epoch_order(20, 3, 4).tolist() == epoch_order(20, 3, 4).tolist()
