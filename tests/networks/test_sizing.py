import pytest
import torch

from evosearch.blueprint import ImageShape, NetworkSize, Problem, blueprint_of
from evosearch.genome import HandMade, Network, parse
from evosearch.networks import build_network
from evosearch.networks.sizing import measure


def measured(network: Network, problem: Problem) -> NetworkSize:
    with torch.device("meta"):
        return measure(build_network(network, problem.image, problem.classes, 0.5), problem)


@pytest.mark.parametrize(
    ("name", "multiply_adds"),
    [("resnet18", 1.814e9), ("resnet50", 4.089e9), ("vgg16", 15.47e9), ("mobilenet_v2", 0.301e9)],
)
def test_at_224_pixels_a_network_has_the_published_multiply_adds(name: str, multiply_adds: float) -> None:
    size = measured(HandMade(name), Problem(ImageShape(3, 224, 224), 1000))
    assert size.flops == pytest.approx(2 * multiply_adds, rel=1e-3)


@pytest.mark.parametrize("text", ["C6 B8 P | F8", "B4 |", "P C3 C5 P | F8 F6"])
def test_a_chromosome_is_measured_as_its_blueprint_counts_it(text: str) -> None:
    problem = Problem(ImageShape(3, 9, 12), 4)
    assert measured(parse(text), problem) == blueprint_of(parse(text), problem).size


def test_what_it_is_for_decides_its_size() -> None:
    small, large = (
        measured(HandMade("resnet18"), Problem(ImageShape(1, side, side), 2)) for side in (64, 128)
    )
    assert small.parameters == large.parameters
    assert 4 * small.flops == pytest.approx(large.flops, rel=0.01)
    assert 4 * small.activations == pytest.approx(large.activations, rel=0.01)


def test_enlarged_images_cost_what_the_network_sees() -> None:
    tiny, least = (measured(HandMade("resnet18"), Problem(ImageShape(1, side, side), 2)) for side in (8, 32))
    assert tiny == least
