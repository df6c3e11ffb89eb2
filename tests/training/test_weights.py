import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from evosearch.blueprint import ImageShape, Problem, blueprint_of
from evosearch.errors import EvaluationError
from evosearch.evaluation import HandMadeRule
from evosearch.genome import HandMade, parse
from evosearch.networks import build, decode
from evosearch.training.batches import unit
from evosearch.training.trained import TrainedNetwork
from evosearch.training.weights import (
    describe,
    fetch_weights,
    keep_weights,
    load_weights,
    save_weights,
    start_weights,
)

IMAGE = ImageShape(3, 8, 8)


def network(text: str = "C6 B8 P | F8") -> nn.Sequential:
    return build(blueprint_of(parse(text), Problem(IMAGE, 2)))


def test_saved_weights_come_back_bit_for_bit_whatever_their_layout(tmp_path: Path) -> None:
    saved, loaded = network().to(memory_format=torch.channels_last), network()
    save_weights(tmp_path / "new" / "folder" / "best.safetensors", saved, {})
    load_weights(tmp_path / "new" / "folder" / "best.safetensors", loaded)
    assert all(tensor.equal(loaded.state_dict()[name]) for name, tensor in saved.state_dict().items())


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    chromosome = parse("C6 B8 P | F8")
    save_weights(tmp_path / "w", network(), describe(chromosome, ("dark", "bright"), IMAGE, unit(3)))
    with safe_open(tmp_path / "w", framework="pt") as file:
        metadata = file.metadata()
    assert parse(metadata.pop("chromosome")) == chromosome
    assert {name: json.loads(text) for name, text in metadata.items()} == {
        "classes": ["dark", "bright"],
        "image": [3, 8, 8],
        "mean": [0, 0, 0],
        "deviation": [255, 255, 255],
    }


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "w"
    save_weights(path, network(), {})
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_weights(path, network(), {"number": 5})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("C6 B9 P | F8", "tensor 2.weight is 8 x 6 x 3 x 3 in the file, 9 x 6 x 3 x 3 in the network"),
        ("C6 C8 P | F8", "tensor 6.weight is missing in the file, 8 x 128 in the network"),
        ("C6 B8 P | F8 F9", "tensor 10.weight is 2 x 8 in the file, 9 x 8 in the network"),
    ],
)
def test_weights_of_another_network_are_refused_by_the_first_tensor(
    tmp_path: Path, text: str, message: str
) -> None:
    save_weights(tmp_path / "w", network(), {})
    with pytest.raises(EvaluationError) as refused:
        load_weights(tmp_path / "w", network(text))
    assert str(refused.value) == f"'{tmp_path / 'w'}' holds another network: {message}"


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"there are no weights at '.*gone'; train the network again"):
        load_weights(tmp_path / "gone", network())


@pytest.mark.parametrize("length", [0, 5, 100])
def test_a_file_that_is_no_safetensors_is_named(tmp_path: Path, length: int) -> None:
    save_weights(tmp_path / "w", network(), {})
    (tmp_path / "w").write_bytes((tmp_path / "w").read_bytes()[:length])
    with pytest.raises(EvaluationError, match="w' is no readable safetensors file"):
        load_weights(tmp_path / "w", network())


def test_weights_go_through_an_artifact_store_by_url(tmp_path: Path) -> None:
    module = nn.Linear(3, 2)
    url = f"memory://{tmp_path.name}/final/term-1-attempt-1.safetensors"
    keep_weights(url, module, {"chromosome": "C1 | F1"})
    other = nn.Linear(3, 2)
    fetch_weights(url, other)
    assert torch.equal(other.weight, module.weight)
    with pytest.raises(EvaluationError, match=rf"no weights at 'memory://me@{tmp_path.name}/gone'"):
        fetch_weights(f"memory://me:secret@{tmp_path.name}/gone", other)


def test_a_training_starts_from_weights_in_a_folder_or_in_a_store(tmp_path: Path) -> None:
    given = network()
    save_weights(tmp_path / "given", given, {})
    for place in (str(tmp_path / "given"), f"file://{tmp_path}/given"):
        module = network()
        start_weights(place, parse("C6 B8 P | F8"), module)
        assert all(tensor.equal(given.state_dict()[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("place", ["{}/nothing", "file://{}/nothing"])
def test_weights_to_start_from_that_are_not_there_are_named(tmp_path: Path, place: str) -> None:
    with pytest.raises(
        EvaluationError, match=f"there are no weights at '.*{tmp_path}/nothing'; a search keeps"
    ):
        start_weights(place.format(tmp_path), parse("C6 B8 P | F8"), network())


@pytest.mark.parametrize("rule", ["kaiming", "torchvision"])
def test_a_hand_made_networks_file_is_loaded_by_the_rule_that_it_was_built_by(
    tmp_path: Path, rule: HandMadeRule
) -> None:
    image, generator = ImageShape(1, 8, 8), torch.manual_seed(0)
    built = decode(HandMade("resnet18"), image, 2, 0.5, generator, rule).eval()
    metadata = describe(HandMade("resnet18"), ("dark", "bright"), image, unit(1), rule)
    if rule == "torchvision":
        del metadata["hand_made"]  # as files of the first versions
    save_weights(tmp_path / "w", built, metadata)
    loaded = TrainedNetwork.load(tmp_path / "w", dropout=0.5)
    images = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8)
    torch.testing.assert_close(loaded(images), built(images / 255))
