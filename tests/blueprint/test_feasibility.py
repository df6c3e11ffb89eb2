from evosearch.blueprint import ImageShape, Problem, SizeLimits, blueprint_of, infeasibility, size_of
from evosearch.genome import HandMade, SearchSpace, parse

PROBLEM = Problem(ImageShape(1, 4, 4), 3)
NETWORK = parse("C4 P | F5")  # 143 parameters; with Adam at batch 2: 4 * (4 * 143 + 2 * 162) = 3584 bytes
SIZE = blueprint_of(NETWORK, PROBLEM).size


def judged(**space: int) -> str | None:
    return infeasibility(SIZE, SizeLimits.of(SearchSpace(**space)), batch_size=2, optimizer="adam")


def test_the_limits_are_those_of_the_space() -> None:
    space = SearchSpace(poolings=(2, 4), max_parameters=7, max_memory=9)
    assert SizeLimits.of(space) == SizeLimits(max_parameters=7, max_memory=9, max_poolings=4)


def test_what_fits_exactly_is_feasible() -> None:
    assert judged(max_parameters=143) is None
    assert judged(max_memory=3584) is None


def test_one_parameter_too_many_is_told_with_the_limits_key() -> None:
    assert judged(max_parameters=142) == "143 parameters exceed space.max_parameters = 142"


def test_one_byte_too_many_is_told_with_the_limits_key() -> None:
    assert judged(max_memory=3583) == "3,584 bytes of memory exceed space.max_memory = 3,583"


def test_a_networks_size_is_worked_out_once() -> None:
    size_of.cache_clear()
    assert size_of(NETWORK, PROBLEM) == SIZE == size_of(parse(str(NETWORK)), PROBLEM)
    assert (size_of.cache_info().misses, size_of.cache_info().hits) == (1, 1)


def test_the_size_of_a_hand_made_network_is_not_known_before_it_is_built() -> None:
    assert size_of(HandMade("resnet18"), PROBLEM) is None
