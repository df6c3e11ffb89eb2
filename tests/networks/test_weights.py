from typing import get_args

import torch
from torch import nn

from evosearch.blueprint import ImageShape, Layer, Problem, blueprint_of
from evosearch.genome import parse
from evosearch.networks import build, initialise

BLUEPRINT = blueprint_of(parse("C64 B96 P | F400"), Problem(ImageShape(3, 8, 8), 10))


def initialised(seed: int) -> nn.Sequential:
    with torch.device("meta"):
        network = build(BLUEPRINT)
    network.to_empty(device="cpu")
    for tensor in network.state_dict().values():
        tensor.fill_(77)  # whatever lay in memory
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def test_weights_have_the_deviation_of_kaiming_normal_over_fan_in() -> None:
    network = initialised(0)
    for position, fan_in in ((0, 3 * 9), (2, 64 * 9), (7, 96 * 16), (10, 400)):
        weight, bias = network.get_parameter(f"{position}.weight"), network.get_parameter(f"{position}.bias")
        assert abs(weight.std() / (2 / fan_in) ** 0.5 - 1) < 0.05, position
        assert abs(weight.mean()) < weight.std() / 10
        # normal, not uniform: 4.6 % of a normal lie beyond two deviations
        assert 0.03 < (weight.abs() > 2 * weight.std()).float().mean() < 0.06
        assert not bias.any()


def test_batch_norm_starts_as_the_identity() -> None:
    norm = initialised(0)[3].state_dict()
    assert {name: tensor.unique().tolist() for name, tensor in norm.items()} == {
        "weight": [1],
        "bias": [0],
        "running_mean": [0],
        "running_var": [1],
        "num_batches_tracked": [0],
    }


def test_no_kind_of_layer_keeps_what_lay_in_memory() -> None:
    assert {type(layer) for layer in BLUEPRINT.layers} == set(get_args(Layer))
    assert not any((tensor == 77).all() for tensor in initialised(0).state_dict().values())


def test_the_seed_alone_decides_the_weights() -> None:
    first, torch_state = initialised(3).state_dict(), torch.get_rng_state()
    torch.rand(5)
    again, other = initialised(3).state_dict(), initialised(4).state_dict()
    assert all(first[name].equal(again[name]) for name in first)
    assert not first["0.weight"].equal(other["0.weight"])
    torch.set_rng_state(torch_state)
    initialised(3)
    assert torch.get_rng_state().equal(torch_state)  # the global generator is neither read nor moved
