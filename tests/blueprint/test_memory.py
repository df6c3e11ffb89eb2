import pytest

from evosearch.blueprint import ImageShape, draw_up, training_memory
from evosearch.genome import parse

BLUEPRINT = draw_up(parse("C4 P | F5"), ImageShape(1, 4, 4), 3)


@pytest.mark.parametrize(("optimizer", "numbers"), [("adam", 2), ("adadelta", 2), ("rmsprop", 1), ("sgd", 0)])
def test_each_optimizer_keeps_its_own_numbers_per_parameter(optimizer: str, numbers: int) -> None:
    assert training_memory(BLUEPRINT, 16, optimizer).optimizer == numbers * 4 * BLUEPRINT.parameters


def test_the_total_is_the_sum_and_only_activations_grow_with_the_batch() -> None:
    small, large = (training_memory(BLUEPRINT, size, "adam") for size in (1, 10))
    assert small.total == 4 * (4 * BLUEPRINT.parameters + BLUEPRINT.activations)
    assert large.total - small.total == 4 * 9 * BLUEPRINT.activations
