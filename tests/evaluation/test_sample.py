"""Which training images a search for masks rests on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evosearch.evaluation import held_out, sample_of


@given(st.integers(1, 500), st.floats(1e-6, 1), st.integers(0, 2**63 - 1))
def test_a_sample_holds_its_share_of_the_images_each_once_and_in_order(
    images: int, share: float, seed: int
) -> None:
    found = sample_of(images, share, seed)
    assert found.dtype == np.int64
    assert len(found) == max(1, round(share * images))
    assert (np.diff(found) > 0).all()
    assert found[0] >= 0 and found[-1] < images
    assert (found == sample_of(images, share, seed)).all()


def test_other_seeds_draw_other_images_and_every_image_has_its_turn() -> None:
    drawn = [tuple(sample_of(50, 0.2, seed).tolist()) for seed in range(200)]
    assert len(set(drawn)) > 190
    turns = np.bincount(np.concatenate(drawn), minlength=50)
    assert turns.min() > 15 and turns.max() < 70  # 40 each


@pytest.mark.parametrize(("images", "places"), [(4, []), (5, [4]), (12, [4, 9])])
def test_every_fifth_image_is_held_out(images: int, places: list[int]) -> None:
    assert held_out(images).tolist() == places
