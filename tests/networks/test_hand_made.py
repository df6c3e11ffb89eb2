from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from evosearch.blueprint import ImageShape
from evosearch.errors import EvaluationError
from evosearch.networks import build_hand_made
from evosearch.networks.hand_made import LEAST_SIDE, AveragePool

PARAMETERS = {
    "densenet121": 7_978_856,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
}
"""As torchvision's documentation lists them, for 1000 classes; those that take a while to build are left out."""


def seeded(name: str, image: ImageShape, classes: int, seed: int = 3) -> Mapping[str, Tensor]:
    torch.manual_seed(seed)
    return dict(build_hand_made(name, image, classes).state_dict())


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_a_network_has_the_parameters_that_its_authors_name(name: str, parameters: int) -> None:
    with torch.device("meta"):
        network = build_hand_made(name, ImageShape(3, 224, 224), 1000)
    assert sum(weight.numel() for weight in network.parameters()) == parameters


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "densenet121"])
def test_it_takes_images_of_any_channels_and_tells_any_classes_apart(name: str) -> None:
    side = LEAST_SIDE.get(name, 8)
    network = build_hand_made(name, ImageShape(1, side, side), 5).eval()
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
        build_hand_made("densenet121", ImageShape(3, 32, 16), 2)


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (7, 7), (9, 14), (16, 8)])
def test_the_deterministic_pooling_is_pytorchs_own(shape: tuple[int, int]) -> None:
    images = torch.randn(2, 3, *shape)
    torch.testing.assert_close(AveragePool(7)(images), nn.AdaptiveAvgPool2d(7)(images))


def test_vgg_pools_deterministically() -> None:
    with torch.device("meta"):
        network = build_hand_made("vgg16_bn", ImageShape(3, 64, 64), 2)
    assert not any(isinstance(layer, nn.AdaptiveAvgPool2d) for layer in network.modules())
