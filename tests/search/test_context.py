import itertools

import numpy as np
import pytest

from evosearch.search.context import Purpose, stream


def first_draw(*key) -> int:
    return int(stream(*key).integers(2**62))


def test_equal_arguments_give_equal_draws():
    key = (3, 5, Purpose.BALANCE, 2)
    np.testing.assert_array_equal(stream(*key).random(20), stream(*key).random(20))


def test_streams_differ_wherever_seed_generation_purpose_or_slot_differ():
    keys = list(itertools.product((0, 1, 2), (0, 1, 2), Purpose, (0, 1, 2)))
    assert len({first_draw(*key) for key in keys}) == len(keys)


def test_a_seed_beyond_32_bits_has_streams_of_its_own():
    """numpy cuts seeds into 32-bit words: 2**32 + 7 must not become seed 7 of generation 1."""
    big = [first_draw(2**32 + 7, generation, purpose, 0) for generation in (0, 1) for purpose in Purpose]
    small = [
        first_draw(7, generation, purpose, slot) for generation in (0, 1, 2) for purpose in Purpose for slot in range(4)
    ]  # fmt: skip # a line per item would say less
    assert len({*big, *small}) == len(big) + len(small)


def test_purposes_never_change_their_numbers():
    """They enter the seed: another number would make every journal's resume draw other children."""
    assert {purpose.name: purpose.value for purpose in Purpose} == {
        "RANDOM_INDIVIDUAL": 0,
        "SELECTION": 1,
        "CROSSOVER": 2,
        "BALANCE": 3,
    }


def test_a_stream_is_the_generator_of_its_four_numbers():
    """Written out so that a resumed search of an older journal draws the same children."""
    expected = np.random.default_rng([7, 2, 1, 5]).random(4)
    np.testing.assert_array_equal(stream(7, 2, Purpose.SELECTION, 5).random(4), expected)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="non-negative"):
        stream(-1, 0, Purpose.SELECTION)
