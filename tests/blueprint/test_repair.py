import pytest
from hypothesis import given
from hypothesis import strategies as st

from evosearch.blueprint import (
    ImageShape,
    Problem,
    Repaired,
    SizeLimits,
    allowed_poolings,
    blueprint_of,
    repair_head,
)
from evosearch.errors import InvalidChromosomeError
from evosearch.genome import (
    Chromosome,
    Conv,
    ConvolutionGiven,
    Dense,
    Pool,
    PoolingsDropped,
    SearchSpace,
    parse,
)


def limits(side: int, most: int = 5) -> tuple[Problem, SizeLimits]:
    return Problem(ImageShape(3, side, side + 3), 2), SizeLimits.of(SearchSpace(poolings=(0, most)))


@pytest.mark.parametrize(("side", "allowed"), [(1, 0), (2, 1), (3, 1), (4, 2), (31, 4), (32, 5), (224, 5)])
def test_poolings_stop_before_a_side_falls_below_one_pixel_or_at_the_limit(side: int, allowed: int) -> None:
    assert allowed_poolings(*limits(side)) == allowed


def test_the_last_poolings_go_first() -> None:
    assert repair_head(parse("P C8 P C9 P P | F4"), *limits(4)) == Repaired(
        parse("P C8 P C9 | F4"), (PoolingsDropped(2),)
    )
    assert repair_head(parse("P C8 P C9 P |"), *limits(4)).repairs == (PoolingsDropped(1),)


def test_a_head_without_a_convolution_gets_the_best_ones_first_in_place_of_its_first_gene() -> None:
    repaired = repair_head(parse("P P | F4"), *limits(32), Conv(77, batch_norm=True))
    assert repaired == Repaired(parse("B77 P | F4"), (ConvolutionGiven(Conv(77, batch_norm=True)),))


def test_surplus_poolings_go_before_a_convolution_comes() -> None:
    assert str(repair_head(parse("P P P |"), *limits(4), Conv(8)).chromosome) == "C8 P |"
    assert str(repair_head(parse("P P |"), *limits(1), Conv(8)).chromosome) == "C8 |"


def test_a_head_that_can_be_decoded_is_left_alone() -> None:
    whole = parse("C8 P | F4")
    assert repair_head(whole, *limits(8), Conv(9)) == Repaired(whole, ())


def test_a_head_of_poolings_only_needs_a_convolution_to_fall_back_on() -> None:
    with pytest.raises(InvalidChromosomeError, match="at least one gene"):
        repair_head(parse("P |"), *limits(1))


@given(
    st.lists(st.just(Pool()) | st.integers(1, 9).map(Conv), min_size=1, max_size=15),
    st.integers(1, 40),
    st.integers(0, 5),
)
def test_every_repaired_head_can_be_decoded_and_is_repaired_no_further(
    head: list[Conv | Pool], side: int, most: int
) -> None:
    bounds = limits(side, most)
    repaired = repair_head(Chromosome(tuple(head), (Dense(3),)), *bounds, Conv(5)).chromosome
    assert blueprint_of(repaired, bounds[0]).layers
    assert repaired.convolutions
    assert repaired.poolings <= most
    assert repair_head(repaired, *bounds, Conv(5)) == Repaired(repaired, ())
