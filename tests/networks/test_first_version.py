from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from evosearch.blueprint import ImageShape
from evosearch.errors import EvaluationError
from evosearch.genome import HAND_MADE, HandMade
from evosearch.networks import build_as_first, decode
from evosearch.networks.first_version import LEAST_SIDE, is_as_first


def seeded(name: str, image: ImageShape, classes: int, seed: int = 3) -> Mapping[str, Tensor]:
    torch.manual_seed(seed)
    return dict(build_as_first(name, image, classes).state_dict())


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "densenet121"])
def test_it_takes_images_of_any_channels_and_tells_any_classes_apart(name: str) -> None:
    side = LEAST_SIDE.get(name, 8)
    network = build_as_first(name, ImageShape(1, side, side), 5).eval()
    assert network(torch.zeros(2, 1, side, side)).shape == (2, 5)


def test_the_seed_alone_decides_its_weights() -> None:
    image = ImageShape(1, 8, 8)
    first, again, other = (seeded("resnet18", image, 2, seed) for seed in (3, 3, 4))
    assert all(first[name].equal(again[name]) for name in first)
    assert not first["conv1.weight"].equal(other["conv1.weight"])


def test_another_first_convolution_is_drawn_after_all_others() -> None:
    colour, grey = (seeded("resnet18", ImageShape(channels, 8, 8), 2) for channels in (3, 1))
    different = [name for name in colour if not colour[name].equal(grey[name])]
    assert different == ["conv1.weight"]
    assert grey["conv1.weight"].std() == pytest.approx((2 / (64 * 49)) ** 0.5, rel=0.1)


def test_images_that_it_would_pool_to_nothing_are_refused() -> None:
    with pytest.raises(
        EvaluationError, match="densenet121 takes images of at least 32 x 32 pixels, found 32 x 16"
    ):
        build_as_first("densenet121", ImageShape(3, 32, 16), 2)


def test_vgg_pools_deterministically() -> None:
    with torch.device("meta"):
        network = build_as_first("vgg16_bn", ImageShape(3, 64, 64), 2)
    assert not any(isinstance(layer, nn.AdaptiveAvgPool2d) for layer in network.modules())


def test_what_the_first_lists_did_not_know_is_built_as_today() -> None:
    known = {name: is_as_first(HandMade(name)) for name in HAND_MADE}
    assert sum(known.values()) == 7
    assert not known["resnet152"] and not is_as_first(HandMade("resnet18", "0" * 64))


def test_the_rule_decides_which_of_the_two_is_decoded() -> None:
    image = ImageShape(1, 8, 8)
    first, now = (
        decode(HandMade("resnet18"), image, 2, 0.5, torch.manual_seed(3), rule)
        for rule in ("torchvision", "kaiming")
    )
    assert first.state_dict()["conv1.weight"].equal(seeded("resnet18", image, 2)["conv1.weight"])
    assert now.state_dict()["conv1.weight"].shape == (64, 3, 7, 7)
