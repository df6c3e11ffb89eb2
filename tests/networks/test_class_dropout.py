"""Dropout before the class layer, of every network at the rate that is asked for, and which units it drops."""

import pytest
import torch
from torch import Tensor, nn

from evosearch.blueprint import ImageShape
from evosearch.genome import HAND_MADE, HandMade, Network, parse
from evosearch.networks import (
    build_as_first,
    build_network,
    class_layer_of,
    decode,
    drop_before_classes,
)
from evosearch.networks.class_dropout import MOST, chances, drop_weak
from evosearch.networks.first_version import NAMES

IMAGE = ImageShape(3, 32, 32)
EVOLVED = [parse("C6 B8 P | F8 F5"), parse("C6 B8 P |")]
EVERY: list[Network] = [*(HandMade(name) for name in HAND_MADE), *EVOLVED]

OWN = {
    "efficientnet_b0": "classifier.0",
    "efficientnet_b1": "classifier.0",
    "inception_v3": "dropout",
    "mobilenet_v2": "classifier.0",
    "squeezenet1_1": "classifier.0",
    "vgg16": "classifier.5",
    "vgg16_bn": "classifier.5",
    str(EVOLVED[0]): "12",
}
"""The dropout that a network has before its class layer itself; the others have none there."""

UNITS = {
    "densenet121": 1024,
    "densenet169": 1664,
    "efficientnet_b0": 1280,
    "efficientnet_b1": 1280,
    "inception_v3": 2048,
    "mobilenet_v2": 1280,
    "resnet18": 512,
    "resnet50": 2048,
    "resnet152": 2048,
    "squeezenet1_1": 512,
    "vgg16": 4096,
    "vgg16_bn": 4096,
    str(EVOLVED[0]): 5,
    str(EVOLVED[1]): 8 * 16 * 16,
}


def on_meta(network: Network) -> nn.Module:
    with torch.device("meta"):
        return build_network(network, IMAGE, 2, 0.4)


def rates(module: nn.Module) -> dict[str, float]:
    return {name: one.p for name, one in module.named_modules() if isinstance(one, nn.Dropout)}


def dropped_by(layer: nn.Module, units: int) -> Tensor:
    """What the layer, be it without memory, is given in place of ones."""
    seen: list[Tensor] = []
    layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    layer.to_empty(device="cpu")
    layer(torch.ones(400, units, *((1, 1) if isinstance(layer, nn.Conv2d) else ())))
    return seen[0]


@pytest.mark.parametrize("network", EVERY, ids=str)
def test_every_network_drops_at_the_rate_before_its_class_layer_and_elsewhere_as_ever(
    network: Network,
) -> None:
    module, before = on_meta(network), rates(on_meta(network))
    drop_before_classes(network, module, 0.3, "uniform")
    own = OWN.get(str(network))
    assert rates(module) == {name: 0.0 if name == own else rate for name, rate in before.items()}
    torch.manual_seed(1)
    found = dropped_by(class_layer_of(network, module), UNITS[str(network)])
    assert (found == 0).float().mean().item() == pytest.approx(0.3, abs=0.04)
    assert found[found > 0].unique().item() == pytest.approx(1 / 0.7)


@pytest.mark.parametrize("network", EVERY, ids=str)
def test_no_tensor_gets_another_name_and_an_evaluation_drops_nothing(network: Network) -> None:
    module = on_meta(network)
    names = list(module.state_dict())
    drop_before_classes(network, module, 0.3, "weighted")
    assert list(module.state_dict()) == names
    assert dropped_by(class_layer_of(network, module.eval()), UNITS[str(network)]).eq(1).all()


@pytest.mark.parametrize("name", NAMES)
def test_hand_made_networks_of_the_first_lists_get_it_too(name: str) -> None:
    with torch.device("meta"):
        module = build_as_first(name, IMAGE, 2)
    before = rates(module)
    drop_before_classes(HandMade(name), module, 0.0, "uniform")
    assert rates(module) == {key: 0.0 if key == OWN.get(name) else rate for key, rate in before.items()}
    assert class_layer_of(HandMade(name), module)._forward_pre_hooks


@pytest.mark.parametrize(
    "network", [*(HandMade(one) for one in ("resnet18", "mobilenet_v2", "squeezenet1_1")), *EVOLVED], ids=str
)
def test_in_a_whole_pass_that_share_of_the_features_is_dropped_once(network: Network) -> None:
    module = decode(network, IMAGE, 2, 0.5, torch.manual_seed(1))
    drop_before_classes(network, module, 0.6, "uniform")
    before: list[Tensor] = []
    after: list[Tensor] = []
    layer = class_layer_of(network, module)
    layer.register_forward_pre_hook(lambda _, inputs: before.append(inputs[0].clone()), prepend=True)
    layer.register_forward_pre_hook(lambda _, inputs: after.append(inputs[0]))
    for _ in range(20):
        module(torch.rand(30, 3, 32, 32))
    entering, seen = torch.cat(before), torch.cat(after)
    there = entering != 0
    assert (seen[there] == 0).float().mean().item() == pytest.approx(0.6, abs=0.03)
    kept = seen != 0
    torch.testing.assert_close(seen[kept], entering[kept] / 0.4)


def test_the_rate_that_a_network_has_itself_gives_the_bits_that_it_has_itself() -> None:
    network = EVOLVED[0]
    own, asked = (decode(network, IMAGE, 2, 0.5, torch.Generator().manual_seed(1)) for _ in range(2))
    drop_before_classes(network, asked, 0.5, "uniform")
    images = torch.rand(4, 3, 32, 32)
    torch.manual_seed(2)
    expected = own(images)
    torch.manual_seed(2)
    assert asked(images).equal(expected)


STRONG = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0])


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.8, 0.94, 0.97])
def test_the_weaker_a_unit_is_the_likelier_it_is_dropped_and_the_rate_is_the_mean(rate: float) -> None:
    found = chances(torch.stack([STRONG, -STRONG]), rate)
    assert found.mean().item() == pytest.approx(rate)
    assert found.max() <= max(MOST, rate) + 1e-6
    assert found.min() >= 0
    if rate < MOST:
        assert (found.diff() < 0).all()


def test_chances_are_in_proportion_to_weakness_and_know_no_scale() -> None:
    found = chances(STRONG[None], 0.5)
    torch.testing.assert_close(found / found[0], 1 / (1 + STRONG))  # the mean strength is 1
    torch.testing.assert_close(chances(1000 * STRONG[None], 0.5), found)


def test_equal_units_have_equal_chances_also_where_all_are_dead() -> None:
    for features in (torch.zeros(3, 4), torch.ones(3, 4)):
        torch.testing.assert_close(chances(features, 0.3), torch.full((4,), 0.3))


def test_a_channels_strength_is_that_of_all_its_pixels_and_each_pixel_is_drawn_for_itself() -> None:
    maps = torch.rand(6, 5, 3, 4) * STRONG[:, None, None]
    torch.testing.assert_close(chances(maps, 0.4), chances(maps.permute(0, 2, 3, 1).reshape(-1, 5), 0.4))
    torch.manual_seed(0)
    found = drop_weak(torch.ones(50, 5, 10, 10), 0.4)
    assert (found == 0).any((2, 3)).all() and not (found == 0).all((2, 3)).any()


def test_what_is_kept_makes_up_for_what_is_dropped_unit_by_unit() -> None:
    torch.manual_seed(0)
    features = STRONG.repeat(40_000, 1)
    torch.testing.assert_close(drop_weak(features, 0.6).mean(0), STRONG, rtol=0.02, atol=0)


def test_a_gradient_flows_to_what_is_kept_and_none_through_the_chances() -> None:
    torch.manual_seed(0)
    features = torch.rand(8, 5, requires_grad=True)
    found = drop_weak(features, 0.5)
    found.sum().backward()
    torch.testing.assert_close(features.grad, (found / features).detach())
