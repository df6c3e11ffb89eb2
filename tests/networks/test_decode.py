"""The blueprint is worked out without torch; here it meets the network that torch builds from it."""

from math import prod

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from evosearch.blueprint import (
    Blueprint,
    FlattenLayer,
    ImageShape,
    Problem,
    SizeLimits,
    blueprint_of,
    repair_head,
    training_memory,
)
from evosearch.evaluation import TrainingSettings
from evosearch.genome import Chromosome, SearchSpace, parse, sample
from evosearch.networks import build
from evosearch.training.step import make_optimizer

SMALL = SearchSpace((1, 7), (1, 9), 0.5, (0, 5), (0, 3), (1, 12))


def random_blueprints(space: SearchSpace, count: int, sides: tuple[int, int]) -> list[Blueprint]:
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(count):
        channels, height, width = (
            int(rng.integers(1, 4)),
            *map(int, rng.integers(*sides, size=2, endpoint=True)),
        )
        image, classes, dropout = (
            ImageShape(channels, height, width),
            int(rng.integers(2, 11)),
            rng.choice([0, 0.5]),
        )
        problem, limits = Problem(image, classes), SizeLimits.of(space)
        drawn.append(
            blueprint_of(
                repair_head(sample(space, rng), problem, limits).chromosome, Problem(image, classes), dropout
            )
        )
    return drawn


def measured(blueprint: Blueprint, device: str) -> tuple[list[tuple[int, ...]], int, int, int]:
    """Output shapes of all layers, parameters, FLOPs and activations for one image, by torch's own account."""
    outputs: list[tuple[type, tuple[int, ...]]] = []

    def note(module: nn.Module, _: object, output: Tensor) -> None:
        outputs.append((type(module), tuple(output.shape[1:])))

    image = blueprint.problem.image
    with torch.device(device):
        network = build(blueprint).eval()
        for module in network:
            module.register_forward_hook(note)
        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, image.channels, image.height, image.width))
    return (
        [shape for _, shape in outputs],
        sum(parameter.numel() for parameter in network.parameters()),
        counter.get_total_flops(),
        sum(prod(shape) for kind, shape in outputs if kind is not nn.Flatten),
    )


def predicted(blueprint: Blueprint) -> tuple[list[tuple[int, ...]], int, int, int]:
    shapes = [layer.output for layer in blueprint.layers]
    return shapes, blueprint.parameters, blueprint.flops, blueprint.activations


def test_300_random_small_networks_are_what_their_blueprints_say() -> None:
    for blueprint in random_blueprints(SMALL, 300, (1, 12)):
        assert measured(blueprint, "cpu") == predicted(blueprint), blueprint


def test_100_networks_of_the_papers_space_at_224_pixels_are_what_their_blueprints_say() -> None:
    for blueprint in random_blueprints(SearchSpace(), 100, (224, 224)):
        assert measured(blueprint, "meta") == predicted(blueprint), blueprint


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adadelta", "rmsprop"])
def test_optimizers_keep_as_many_bytes_as_the_blueprint_says(optimizer: str) -> None:
    for blueprint in random_blueprints(SMALL, 30, (1, 6)):
        network = build(blueprint)
        kept = make_optimizer(network.parameters(), TrainingSettings(optimizer=optimizer))
        for parameter in network.parameters():
            parameter.grad = torch.ones_like(parameter)
        kept.step()
        tensors = [value for state in kept.state.values() for value in state.values() if value.dim()]
        found = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        assert found == training_memory(blueprint, 16, optimizer).optimizer, blueprint


def test_position_i_of_the_network_is_layer_i_of_the_blueprint() -> None:
    blueprint = blueprint_of(parse("C4 B6 P | F5"), Problem(ImageShape(3, 8, 8), 2), dropout=0.25)
    network = build(blueprint)
    assert [type(module).__name__ for module in network] == [
        *("Conv2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d", "Flatten"),
        *("Linear", "ReLU", "Dropout", "Linear"),
    ]
    assert isinstance(blueprint.layers[6], FlattenLayer)
    assert network[9].p == 0.25


def test_a_network_computes_what_its_genes_mean() -> None:
    # worked by hand: two pixels pass the identity kernel, the rectifier clips one, the pooling keeps the larger
    network = build(blueprint_of(parse("C1 P | F1"), Problem(ImageShape(1, 2, 2), 2), dropout=0))
    identity = torch.zeros(1, 1, 3, 3)
    identity[0, 0, 1, 1] = 1.0
    values = {
        "0.weight": identity,
        "0.bias": torch.tensor([-1.0]),
        "4.weight": torch.tensor([[2.0]]),
        "4.bias": torch.tensor([0.5]),
        "6.weight": torch.tensor([[1.0], [-1.0]]),
        "6.bias": torch.tensor([0.0, 10.0]),
    }
    network.load_state_dict(values)
    images = torch.tensor([[[[4.0, -7.0], [0.5, 3.0]]]])
    # pool(relu(x - 1)) = 3; relu(2 * 3 + 0.5) = 6.5; logits (6.5, 3.5)
    assert network(images).tolist() == [[6.5, 3.5]]


def test_an_odd_side_loses_its_last_row_and_column() -> None:
    network = build(blueprint_of(Chromosome(parse("P C1 |").head, ()), Problem(ImageShape(1, 5, 7), 2)))
    assert network[0](torch.zeros(1, 1, 5, 7)).shape == (1, 1, 2, 3)
