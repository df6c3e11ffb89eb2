"""What enters a class layer, kept as a file: the same bits each time, and made again where it was lost."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast
from unittest.mock import Mock

import pytest
import torch
from safetensors.torch import load
from torch.nn import functional

from evosearch.data import SearchData, Split
from evosearch.errors import EvaluationError, TimedOutError
from evosearch.evaluation import (
    Failure,
    FailureKind,
    Features,
    FeaturesTask,
    TrainingTask,
    sample_of,
)
from evosearch.training import Trainer, features
from evosearch.training.batches import ResidentData
from evosearch.training.features import keep_features, kept_features
from evosearch.training.fit import Fit

Ask = Callable[..., TrainingTask]
Recipe = Callable[..., FeaturesTask]


@pytest.fixture
def recipe(ask: Ask, tmp_path: Path) -> Recipe:
    """A task over two thirds of the images; keywords as of `ask`, and `share` and `place`."""

    def made(
        text: str = "C6 B8 P | F8", *, share: float = 0.667, place: str | None = None, **how: object
    ) -> FeaturesTask:
        task = ask(text, **{"class_dropout": 0.5, "epochs": 2, **how})
        where = str(tmp_path / "kept" / "features") if place is None else place
        return FeaturesTask(task.network, task.settings, task.data_key, task.seed, share, where)

    return made


@pytest.fixture
def resident(data: SearchData, device: str) -> ResidentData:
    return ResidentData(data, torch.device(device))


def digest_at(place: str) -> str:
    return hashlib.sha256(Path(place).read_bytes()).hexdigest()


def test_they_are_what_the_trained_network_has_before_its_class_layer_of_the_sample_in_order(
    data: SearchData, resident: ResidentData, recipe: Recipe
) -> None:
    task = recipe(normalize="standard", augment="flip", patience=1)
    found = keep_features(task, resident)
    assert (found.digest, found.units) == (digest_at(task.place), 8)
    kept = load(Path(task.place).read_bytes())
    rows = sample_of(21, task.share, task.seed)
    assert len(rows) == 14
    assert kept["labels"].tolist() == data.train.labels[rows].tolist()
    assert kept["features"].shape == (14, 8)
    assert kept["features"].dtype == torch.float32
    # a data set of these images alone, on which nothing else is asked for
    few = Split(data.train.images[rows], data.train.labels[rows])
    alone = ResidentData(replace(data, train=few), resident.device)
    fit = Fit(
        TrainingTask(task.network, replace(task.settings, patience=None), task.data_key, task.seed), alone
    )
    while not fit.ended:
        fit.run_epoch()
    module = fit.network.module.eval()
    with torch.no_grad():
        pixels = fit.network.scale(alone.train.images)
        entering = torch.nn.Sequential(*list(module)[:-1])(pixels)
    torch.testing.assert_close(kept["features"], entering.cpu())
    classes = list(module)[-1]
    torch.testing.assert_close(kept["weight"], classes.weight.detach().cpu())
    torch.testing.assert_close(kept["bias"], classes.bias.detach().cpu())


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("C6 B8 P |", (14, 8 * 4 * 4)),
        ("squeezenet1_1", (14, 512, 1)),
        ("resnet18", (14, 512)),
        ("mobilenet_v2", (14, 1280)),
    ],
)
def test_units_are_those_of_a_linear_class_layer_or_the_channels_of_a_convolution(
    resident: ResidentData, recipe: Recipe, text: str, shape: tuple[int, ...]
) -> None:
    task = recipe(text, epochs=1, learning_rate=1e-4)
    found = keep_features(task, resident)
    kept = kept_features(task, found.digest, resident)
    assert kept.values.shape == shape
    assert found.units == shape[1]
    assert kept.weight.shape == (len(resident.classes), found.units)
    assert kept.bias.shape == (len(resident.classes),)
    assert kept.weight.dtype == kept.bias.dtype == torch.float32


def test_of_a_convolution_each_channel_has_its_pixels_in_a_row(
    data: SearchData, device: str, recipe: Recipe
) -> None:
    def larger(split: Split) -> Split:
        return replace(split, images=split.images.repeat(8, axis=2).repeat(8, axis=3))

    resident = ResidentData(
        replace(data, train=larger(data.train), validation=larger(data.validation)), torch.device(device)
    )
    task = recipe("squeezenet1_1", epochs=1, learning_rate=1e-4)
    kept = kept_features(task, keep_features(task, resident).digest, resident)
    assert kept.values.shape == (14, 512, 9)
    assert kept.values.is_contiguous()


def test_made_twice_or_after_they_were_lost_they_are_the_same_file(
    data: SearchData, device: str, recipe: Recipe
) -> None:
    worker, task = (
        Trainer(data, device),
        recipe("C6 B8 P | F8 F5", precision="bf16", dropout_units="weighted"),
    )
    first = cast(Features, worker.handle(task))
    worker.handle(recipe(seed=3))
    Path(task.place).unlink()
    again = cast(Features, Trainer(data, device).handle(task))
    assert first.digest == again.digest == digest_at(task.place)
    assert [one.name for one in Path(task.place).parent.iterdir()] == ["features"]
    others = [
        recipe("C6 B8 P | F8 F5", **how) for how in ({"seed": 8}, {"share": 0.8}, {"class_dropout": 0.1})
    ]
    assert first.digest not in [cast(Features, worker.handle(one)).digest for one in others]


@pytest.mark.parametrize(
    "harm",
    [
        Path.unlink,
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"),
    ],
    ids=["missing", "truncated", "empty", "another"],
)
def test_what_is_missing_or_another_is_made_again(
    resident: ResidentData, recipe: Recipe, harm: Callable[[Path], None]
) -> None:
    task = recipe()
    digest = keep_features(task, resident).digest
    sound = load(Path(task.place).read_bytes())
    harm(Path(task.place))
    progress = Mock()
    found = kept_features(task, digest, resident, progress)
    assert progress.step.called
    assert digest_at(task.place) == digest
    assert found.values.equal(sound["features"])
    assert found.labels.equal(sound["labels"])
    assert found.weight.equal(sound["weight"])
    assert found.bias.equal(sound["bias"])
    progress.reset_mock()
    kept_features(task, digest, resident, progress)
    assert not progress.step.called


def test_where_they_come_out_otherwise_one_line_says_so_and_nothing_is_replaced(
    resident: ResidentData, recipe: Recipe
) -> None:
    task = recipe()
    digest = keep_features(task, resident).digest
    with pytest.raises(EvaluationError, match="made again they have the sha256 " + digest) as error:
        kept_features(task, "0" * 64, resident)
    assert "\n" not in str(error.value)
    assert digest_at(task.place) == digest
    Path(task.place).unlink()
    with pytest.raises(EvaluationError, match="are lost"):
        kept_features(task, "0" * 64, resident)
    assert not Path(task.place).exists()


def test_they_may_be_in_an_artifact_store(resident: ResidentData, recipe: Recipe, tmp_path: Path) -> None:
    at_url = recipe(place="memory://kept/here/features.safetensors")
    digest = keep_features(at_url, resident).digest
    assert digest == keep_features(recipe(), resident).digest
    progress = Mock()
    assert kept_features(at_url, digest, resident, progress).values.shape == (14, 8)
    assert not progress.step.called


def test_nothing_is_validated_and_each_epoch_but_the_last_is_told(
    data: SearchData, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = Mock()
    Trainer(data).handle(recipe(epochs=3), progress)
    assert progress.epoch.call_count == 2
    batches = -(-14 // 4)
    assert progress.step.call_count == 3 * batches + batches
    progress.epoch.side_effect = TimedOutError("too long")
    with pytest.raises(TimedOutError):
        Trainer(data).handle(recipe(epochs=3), progress)


def test_what_the_validation_images_are_changes_no_bit(data: SearchData, recipe: Recipe) -> None:
    other = Split(data.validation.images[:3], data.validation.labels[:3])
    found = [Trainer(one).handle(recipe()) for one in (data, replace(data, validation=other))]
    assert found[0].digest == found[1].digest


def test_seconds_are_those_of_the_clock(data: SearchData, recipe: Recipe) -> None:
    found = Trainer(data, clock=iter([5.0, 7.5]).__next__).handle(recipe())
    assert found.seconds == 2.5


def test_a_training_that_diverges_leaves_nothing(data: SearchData, recipe: Recipe) -> None:
    task = recipe(optimizer="sgd", learning_rate=1e30)
    found = Trainer(data).handle(task)
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.DIVERGED
    assert "the training loss became nan in epoch 1 of 2" in found.message
    assert not Path(task.place).exists()


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_a_class_layer_that_its_last_step_made_infinite_leaves_nothing(
    data: SearchData, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def harmed(_: Fit, layer: torch.nn.Module, *__: object) -> torch.Tensor:
        layer.get_parameter(name).data[0] = torch.inf
        return torch.zeros(14, 8)

    monkeypatch.setattr(features, "_values", harmed)
    task = recipe()
    found = Trainer(data).handle(task)
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.DIVERGED
    assert found.message == (
        "a feature of 'C6 B8 P | F8', or a weight of its class layer, is not finite after 2 epochs"
    )
    assert not Path(task.place).exists()


def test_a_network_that_no_memory_holds_is_out_of_memory(
    data: SearchData, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functional, "cross_entropy", Mock(side_effect=MemoryError))
    found = Trainer(data).handle(recipe())
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.OUT_OF_MEMORY
    assert found.message.startswith("'C6 B8 P | F8' needs more memory")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"data_key": "other"}, "the task is for data other"),
        ({"text": "C6 B8 P | F8 @ " + "0" * 64}, "starts from given weights"),
        ({"share": 0.1}, "a sample of 0.1 of 21 training images has 2, less than a batch of 4"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(
    data: SearchData, recipe: Recipe, how: dict[str, object], message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        Trainer(data).handle(recipe(**how))


def test_a_network_with_given_weights_starts_from_them(
    data: SearchData, ask: Ask, recipe: Recipe, tmp_path: Path
) -> None:
    Trainer(data).handle(ask(weights=str(tmp_path / "w")))
    given = replace(recipe("C6 B8 P | F8 @ " + "0" * 64), start=str(tmp_path / "w"))
    assert Trainer(data).handle(given).digest != Trainer(data).handle(recipe()).digest
