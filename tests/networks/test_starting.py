import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from evosearch.blueprint import ImageShape
from evosearch.errors import EvaluationError
from evosearch.evaluation import Network
from evosearch.genome import HandMade, parse, parse_network
from evosearch.networks import build_network, decode, start_from
from evosearch.networks.starting import outputs_of

IMAGE = ImageShape(1, 8, 8)
SHA = "0" * 64
STORED = Path(os.environ.get("EVOSEARCH_DATA", "/nowhere"), "weights")


def drawn(
    text: str, *, classes: int = 2, image: ImageShape = IMAGE, dropout: float = 0.5, seed: int = 1
) -> nn.Module:
    return decode(parse_network(text), image, classes, dropout, torch.Generator().manual_seed(seed))


def tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def started(
    module: nn.Module, given: dict[str, Tensor], network: str | Network = "C8 |"
) -> dict[str, Tensor]:
    network = parse_network(network) if isinstance(network, str) else network
    start_from(module, given, outputs_of(network, module))
    return tensors(module)


def test_a_chromosome_starts_from_the_weights_that_the_same_one_was_trained_to() -> None:
    given = tensors(drawn("C6 B8 P | F8", seed=2))
    after = started(drawn(f"C6 B8 P | F8 @ {SHA}"), given)
    assert all(after[name].equal(given[name]) for name in given)


def test_its_layers_are_found_though_the_other_one_was_trained_without_dropout() -> None:
    given = tensors(drawn("C6 P | F8 F6", dropout=0.0, seed=2))
    after = started(drawn("C6 P | F8 F6"), given)
    assert list(given) != list(after)
    assert all(one.equal(other) for one, other in zip(given.values(), after.values(), strict=True))


def test_another_number_of_classes_leaves_the_output_layer_as_drawn() -> None:
    before, given = tensors(drawn("C6 P | F8")), tensors(drawn("C6 P | F8", classes=5, seed=2))
    after = started(drawn("C6 P | F8"), given)
    last = {"7.weight", "7.bias"}
    assert all(after[name].equal(before[name]) == (name in last or "bias" in name) for name in after)


def test_what_a_partial_file_does_not_name_stays_as_drawn() -> None:
    before, whole = tensors(drawn("squeezenet1_1")), tensors(drawn("squeezenet1_1", seed=2))
    given = {name: tensor for name, tensor in whole.items() if name.startswith("features.0.")}
    after = started(drawn("squeezenet1_1"), given, HandMade("squeezenet1_1"))
    for name in after:
        assert after[name].equal(given.get(name, before[name]))


def test_half_precision_is_cast() -> None:
    given = {name: tensor.half() for name, tensor in tensors(drawn("C6 P | F8", seed=2)).items()}
    after = started(drawn("C6 P | F8"), given)
    assert after["0.weight"].dtype == torch.float32
    assert after["0.weight"].equal(given["0.weight"].float())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            "C7 P | F8",
            r"0\.bias is 7 in the file, 6 in the network; 0\.weight is 7 x 1 x 3 x 3 in the file, 6 x 1 x 3 x 3",
        ),
        (
            "C6 P C9 | F8",
            r"it does not fit: 3\.bias is not in the network; 3\.weight is not in the network",
        ),
    ],
)
def test_what_else_does_not_fit_is_named_tensor_by_tensor(given: str, told: str) -> None:
    with pytest.raises(EvaluationError, match=told) as raised:
        started(drawn("C6 P | F8"), tensors(drawn(given)))
    assert "\n" not in str(raised.value)


def test_whole_numbers_are_no_weights() -> None:
    given = {"0.weight": torch.zeros(6, 1, 3, 3, dtype=torch.int8)}
    with pytest.raises(
        EvaluationError, match=r"0\.weight is 6 x 1 x 3 x 3 of whole numbers in the file, 6 x 1"
    ):
        started(drawn("C6 P | F8"), given)


@pytest.mark.parametrize("given", [{}, {"7.weight": torch.zeros(5, 8)}])
def test_a_file_without_a_tensor_that_can_be_used_is_refused(given: dict[str, Tensor]) -> None:
    with pytest.raises(EvaluationError, match="it holds no tensor of the network but of its output layer"):
        started(drawn("C6 P | F8"), given)


def test_of_many_that_do_not_fit_the_first_are_named_and_the_others_counted() -> None:
    with pytest.raises(EvaluationError, match=r"; and \d+ more$"):
        started(drawn("C6 P | F8"), tensors(drawn("squeezenet1_1")))


@pytest.mark.parametrize(
    ("name", "file", "filled"),
    [
        ("mobilenet_v2", "mobilenet_v2.imagenet-qat.safetensors", 312),
        ("squeezenet1_1", "squeezenet1_1.imagenet.safetensors", 50),
        pytest.param(
            "vgg16", "vgg16.features.fp16.safetensors", 26, marks=pytest.mark.slow
        ),  # 540 MB are drawn
    ],
)
def test_published_weights_fill_all_that_they_name_but_the_output_layer(
    name: str, file: str, filled: int
) -> None:
    if not (STORED / file).is_file():
        pytest.skip("no published weights under EVOSEARCH_DATA")
    network, given = HandMade(name, SHA), load_file(STORED / file)
    module = decode(network, IMAGE, 2, 0.5, torch.Generator().manual_seed(1)).eval()
    images = torch.rand(2, 1, 8, 8)
    with torch.inference_mode():
        random = module(images)
    after = started(module, given, network)
    same = [
        key
        for key in given
        if after[key].shape == given[key].shape and after[key].equal(given[key].to(after[key]))
    ]
    assert len(same) == filled
    with torch.inference_mode():
        logits = module(images)
    assert logits.isfinite().all() and not logits.allclose(random)


def test_with_given_weights_inception_brings_colours_to_the_scale_that_it_was_trained_on() -> None:
    with torch.device("meta"):
        given, random = (
            build_network(HandMade("inception_v3", weights), IMAGE, 2, 0.5) for weights in (SHA, None)
        )
    assert given.transform_input and not random.transform_input


def test_the_output_layer_of_a_chromosome_is_its_last() -> None:
    assert outputs_of(parse("C6 P | F8"), drawn("C6 P | F8")) == ("7",)
