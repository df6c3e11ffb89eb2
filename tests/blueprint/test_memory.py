import pytest

from evosearch.blueprint import ImageShape, Problem, blueprint_of, training_memory
from evosearch.genome import parse

SIZE = blueprint_of(parse("C4 P | F5"), Problem(ImageShape(1, 4, 4), 3)).size


@pytest.mark.parametrize(("optimizer", "numbers"), [("adam", 2), ("adadelta", 2), ("rmsprop", 1), ("sgd", 0)])
def test_each_optimizer_keeps_its_own_numbers_per_parameter(optimizer: str, numbers: int) -> None:
    assert training_memory(SIZE, 16, optimizer).optimizer == numbers * 4 * SIZE.parameters


def test_the_total_is_the_sum_and_only_activations_grow_with_the_batch() -> None:
    small, large = (training_memory(SIZE, size, "adam") for size in (1, 10))
    assert small.total == 4 * (4 * SIZE.parameters + SIZE.activations)
    assert large.total - small.total == 4 * 9 * SIZE.activations
