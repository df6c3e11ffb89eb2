import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision import models
from torchvision.ops import StochasticDepth

from evosearch.blueprint import ImageShape
from evosearch.genome import HAND_MADE, HandMade
from evosearch.networks import build_hand_made, build_network, decode
from evosearch.networks.hand_made import OUTPUTS, least_side

PARAMETERS = {
    "densenet121": 7_978_856,
    "densenet169": 14_149_480,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "inception_v3": 27_161_264,
    "mobilenet_v2": 3_504_872,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "resnet152": 60_192_808,
    "squeezenet1_1": 1_235_496,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
}
"""As torchvision's documentation lists them, for 1000 classes."""

QUICK = ("resnet18", "mobilenet_v2", "squeezenet1_1", "efficientnet_b0")
"""Those that are drawn and stepped within a moment."""


def on_meta(name: str, image: ImageShape, classes: int) -> nn.Module:
    with torch.device("meta"):
        return build_hand_made(name, image, classes)


def test_each_network_that_there_is_has_its_parameters_here() -> None:
    assert PARAMETERS.keys() == set(HAND_MADE) == OUTPUTS.keys()


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_a_network_has_the_parameters_that_its_authors_name(name: str, parameters: int) -> None:
    network = on_meta(name, ImageShape(3, 224, 224), 1000)
    assert sum(weight.numel() for weight in network.parameters()) == parameters


@pytest.mark.parametrize("name", HAND_MADE)
@pytest.mark.parametrize("classes", [2, 3])
def test_it_takes_small_gray_images_and_tells_any_classes_apart(name: str, classes: int) -> None:
    network = on_meta(name, ImageShape(1, 8, 8), classes).eval()
    logits = network(torch.zeros(2, 1, 8, 8, device="meta"))
    assert logits.shape == (2, classes)


@pytest.mark.parametrize("name", HAND_MADE)
def test_its_output_layers_are_those_whose_size_the_classes_decide(name: str) -> None:
    few, many = (
        {key: tensor.shape for key, tensor in on_meta(name, ImageShape(3, 32, 32), n).state_dict().items()}
        for n in (2, 5)
    )
    assert {key.rpartition(".")[0] for key in few if few[key] != many[key]} == set(OUTPUTS[name])


@pytest.mark.parametrize("name", HAND_MADE)
def test_no_pooling_is_left_whose_gradient_differs_from_time_to_time_on_a_gpu(name: str) -> None:
    network = on_meta(name, ImageShape(3, 64, 64), 2)
    adaptive = [one for one in network.modules() if isinstance(one, nn.AdaptiveAvgPool2d)]
    assert all(one.output_size in (1, (1, 1)) for one in adaptive)


def test_images_are_enlarged_and_gray_ones_repeated_before_the_network_sees_them() -> None:
    network = decode(HandMade("resnet18"), ImageShape(1, 8, 8), 2, 0.5, torch.manual_seed(0)).eval()
    images = torch.rand(2, 1, 8, 8)
    large = functional.interpolate(images, (32, 32), mode="bilinear", align_corners=False).repeat(1, 3, 1, 1)
    torchvisions = models.resnet18(num_classes=2).eval()
    torchvisions.load_state_dict(network.state_dict())
    torch.testing.assert_close(network(images), torchvisions(large))


def test_colour_images_of_its_size_or_above_are_left_as_they_are() -> None:
    network = decode(HandMade("vgg16_bn"), ImageShape(3, 48, 32), 2, 0.5, torch.manual_seed(0)).eval()
    images, torchvisions = torch.rand(2, 3, 48, 32), models.vgg16_bn(num_classes=2).eval()
    torchvisions.load_state_dict(network.state_dict())
    torch.testing.assert_close(network(images), torchvisions(images))


@pytest.mark.parametrize("name", QUICK)
def test_its_weights_are_drawn_as_those_of_an_evolved_network(name: str) -> None:
    generator = torch.Generator().manual_seed(3)
    drawn = decode(HandMade(name), ImageShape(1, 8, 8), 2, 0.5, generator)
    layers = [one for one in drawn.modules() if isinstance(one, nn.Conv2d | nn.Linear)]
    again = torch.Generator().manual_seed(3)
    for layer in layers:
        expected = nn.init.kaiming_normal_(
            torch.empty_like(layer.weight), nonlinearity="relu", generator=again
        )
        assert layer.weight.equal(expected)
        assert layer.bias is None or not layer.bias.any()
    assert generator.get_state().equal(again.get_state())


@pytest.mark.parametrize("name", HAND_MADE)
def test_every_tensor_of_it_is_drawn(name: str) -> None:
    """Each is of a layer that `initialise` knows; what is not would be whatever memory held."""
    network = on_meta(name, ImageShape(3, 32, 32), 2)
    known = nn.Conv2d | nn.Linear | nn.BatchNorm2d
    owners = {type(network.get_submodule(key.rpartition(".")[0])) for key in network.state_dict()}
    assert all(issubclass(owner, known) for owner in owners)
    assert not any(key for module in network.modules() for key in module._non_persistent_buffers_set)


@pytest.mark.parametrize("name", HAND_MADE)
def test_what_it_drops_is_its_own_affair_and_not_that_of_the_evolved_ones(name: str) -> None:
    def rates(network: nn.Module) -> list[tuple[str, float]]:
        kinds = nn.Dropout | StochasticDepth
        return [(key, one.p) for key, one in network.named_modules() if isinstance(one, kinds)]

    options = {"init_weights": False} if name == "inception_v3" else {}
    with torch.device("meta"):
        theirs = getattr(models, name)(**options)
        ours = [build_network(HandMade(name), ImageShape(3, 32, 32), 2, rate) for rate in (0.0, 0.9)]
    assert [rates(one) for one in ours] == [rates(theirs)] * 2


def one_step(name: str, side: int) -> tuple[Tensor, ...]:
    network = decode(HandMade(name), ImageShape(1, side, side), 2, 0.5, torch.manual_seed(1))
    found = network(torch.rand(2, 1, side, side))
    heads = (found,) if isinstance(found, Tensor) else tuple(found)
    sum(head.sum() for head in heads).backward()
    assert all(weight.grad is not None for weight in network.parameters())
    return heads


@pytest.mark.parametrize("name", QUICK)
def test_a_step_reaches_every_weight(name: str) -> None:
    (logits,) = one_step(name, 8)
    assert logits.isfinite().all()


@pytest.mark.slow  # seconds each: they are large
@pytest.mark.parametrize("name", sorted(set(HAND_MADE) - set(QUICK)))
def test_a_step_of_a_large_one_reaches_every_weight(name: str) -> None:
    assert all(logits.isfinite().all() for logits in one_step(name, least_side(name)))


def test_inception_has_two_heads_while_it_trains_and_one_when_it_is_asked() -> None:
    network = on_meta("inception_v3", ImageShape(1, 28, 28), 3)
    images = torch.zeros(2, 1, 28, 28, device="meta")
    assert [tuple(head.shape) for head in network(images)] == [(2, 3), (2, 3)]
    assert network.eval()(images).shape == (2, 3)


def test_at_its_own_size_inceptions_second_head_is_torchvisions() -> None:
    torch.manual_seed(0)
    theirs = models.inception.InceptionAux(8, 2).eval()
    from evosearch.networks.inception import AuxiliaryHead

    ours = AuxiliaryHead(8, 2).eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.rand(2, 8, 17, 17)
    torch.testing.assert_close(ours(images), theirs(images))
    assert ours(images[:, :, :3, :3]).shape == (2, 2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
@pytest.mark.parametrize("name", HAND_MADE)
def test_a_step_gives_the_same_bits_twice_on_a_gpu(name: str) -> None:
    from evosearch.evaluation import TrainingSettings
    from evosearch.training.numerics import numerics

    def gradients() -> list[Tensor]:
        network = decode(HandMade(name), ImageShape(1, 28, 28), 2, 0.5, torch.manual_seed(1))
        network.to("cuda", memory_format=torch.channels_last)
        found = network(torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(2)).cuda())
        heads = (found,) if isinstance(found, Tensor) else tuple(found)
        sum(head.sum() for head in heads).backward()
        return [weight.grad for weight in network.parameters()]

    with numerics(TrainingSettings()):
        assert all(one.equal(other) for one, other in zip(gradients(), gradients(), strict=True))
