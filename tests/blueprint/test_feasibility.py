from evosearch.blueprint import ImageShape, Limits, infeasibility
from evosearch.genome import SearchSpace, parse

IMAGE = ImageShape(1, 4, 4)
NETWORK = parse("C4 P | F5")  # 143 parameters; with Adam at batch 2: 4 * (4 * 143 + 2 * 162) = 3584 bytes


def limits(**space: int) -> Limits:
    return Limits.of(SearchSpace(**space), IMAGE, 3, batch_size=2, optimizer="adam", dropout=0.5)


def test_the_limits_are_those_of_the_space() -> None:
    space = SearchSpace(poolings=(2, 4), max_parameters=7, max_memory=9)
    found = Limits.of(space, IMAGE, 3, 16, "sgd", 0.1)
    assert found == Limits(IMAGE, 3, 16, "sgd", 0.1, max_parameters=7, max_memory=9, max_poolings=4)


def test_what_fits_exactly_is_feasible() -> None:
    assert infeasibility(NETWORK, limits(max_parameters=143)) is None
    assert infeasibility(NETWORK, limits(max_memory=3584)) is None


def test_one_parameter_too_many_is_told_with_the_limits_key() -> None:
    assert (
        infeasibility(NETWORK, limits(max_parameters=142))
        == "143 parameters exceed space.max_parameters = 142"
    )


def test_one_byte_too_many_is_told_with_the_limits_key() -> None:
    told = infeasibility(NETWORK, limits(max_memory=3583))
    assert told == "3,584 bytes of memory exceed space.max_memory = 3,583"
