"""The class layer behind a dropout layer, trained once for each of many masks at once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from evosearch.data import SearchData
from evosearch.errors import EvaluationError, TimedOutError
from evosearch.evaluation import (
    FeaturesTask,
    Losses,
    MaskRule,
    Masks,
    MasksTask,
    TrainingSettings,
    held_out,
)
from evosearch.genome import parse
from evosearch.training import Trainer, features, masks
from evosearch.training.batches import ResidentData, batch_sizes, epoch_order
from evosearch.training.masks import LOSS_OF_DIVERGED, scaled, train_masks
from evosearch.training.step import make_optimizer

KEY = "key-of-the-data"
IMAGES, UNITS = 40, 12
TELLING = 3
"""Units, the first ones, that tell the classes apart; the others are noise."""


@pytest.fixture
def resident(data: SearchData, device: str) -> ResidentData:
    return ResidentData(data, torch.device(device))


def drawn(*pixels: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(IMAGES) % 2
    values = torch.rand(IMAGES, UNITS, *pixels, generator=generator)
    values[:, :TELLING] += labels.reshape(-1, 1, *(1 for _ in pixels))
    return values, labels


def left() -> dict[str, Tensor]:
    """The class layer as the features' training left it: some way towards what it has to learn."""
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(2, UNITS, generator=generator) / 2
    weight[1, :TELLING] += 0.5
    return {"weight": weight, "bias": torch.tensor([0.5, 0.25])}


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., MasksTask]:
    """A task over drawn features and a drawn class layer, which are kept as if a network had them; keywords change settings or rule."""

    def made(*vectors: str, pixels: tuple[int, ...] = (), **how: object) -> MasksTask:
        values, labels = drawn(*pixels)
        content = save({"features": values, "labels": labels, **left()})
        place = tmp_path / f"features-{len(pixels)}"
        place.write_bytes(content)
        settings = TrainingSettings(epochs=3, batch_size=7, learning_rate=1e-2)
        rule = {key: how.pop(key) for key in ("beta", "objective", "scale") if key in how}
        recipe = FeaturesTask(parse("C6 |"), settings, KEY, 7, 1.0, str(place))
        digest = features._digest(content)
        return MasksTask(Masks(vectors, digest), replace(settings, **how), KEY, 7, recipe, MaskRule(**rule))

    return made


Ask = Callable[..., MasksTask]

ALL = "1" * UNITS
WITHOUT = "0" * TELLING + "1" * (UNITS - TELLING)
"""Drops what tells the classes apart."""
VECTORS = (ALL, WITHOUT, "10" * (UNITS // 2), "0" * (UNITS - 1) + "1")


def plainly(task: MasksTask, values: Tensor, labels: Tensor, held: Tensor | None = None) -> float:
    """The loss of the class layer that was kept, trained further on features in a plain loop."""
    convolution = values.dim() > 2
    layer: nn.Module = nn.Conv2d(UNITS, 2, 1) if convolution else nn.Linear(UNITS, 2)
    kept = left()
    layer.load_state_dict({**kept, "weight": kept["weight"].reshape(layer.weight.shape)})

    def losses(rows: Tensor) -> Tensor:
        logits = layer(values[rows].unsqueeze(3) if convolution else values[rows])
        logits = logits.relu().mean((2, 3)) if convolution else logits
        return functional.cross_entropy(logits, labels[rows], reduction="none")

    trained = torch.tensor([row for row in range(len(labels)) if held is None or row not in held])
    optimizer = make_optimizer(layer.parameters(), task.settings)
    total = 0.0
    for epoch in range(1, task.settings.epochs + 1):
        summed = 0.0
        order = trained[torch.from_numpy(epoch_order(len(trained), task.seed, epoch))]
        for rows in torch.split(order, batch_sizes(len(trained), task.settings.batch_size)):
            each = losses(rows)
            optimizer.zero_grad()
            each.mean().backward()
            optimizer.step()
            summed += each.detach().sum().item()
        with torch.no_grad():
            total += summed / len(trained) if held is None else losses(held).mean().item()
    return total


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adadelta", "rmsprop"])
@pytest.mark.parametrize("pixels", [(), (5,)])
@pytest.mark.parametrize("objective", ["train", "validation"])
def test_a_mask_of_ones_is_the_plain_training_of_the_class_layer(
    resident: ResidentData, ask: Ask, optimizer: str, pixels: tuple[int, ...], objective: str
) -> None:
    how = {"optimizer": optimizer, "pixels": pixels, "objective": objective, "weight_decay": 0.01}
    task = ask(ALL, WITHOUT, scale="kept", **how)
    held = torch.from_numpy(held_out(IMAGES)) if objective == "validation" else None
    values, labels = drawn(*pixels)
    found = train_masks(task, resident).losses
    assert found[0] == pytest.approx(plainly(task, values, labels, held), rel=1e-5)
    values[:, :TELLING] = 0
    values *= UNITS / (UNITS - TELLING)
    assert found[1] == pytest.approx(plainly(task, values, labels, held), rel=1e-5)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adadelta", "rmsprop"])
@pytest.mark.parametrize("how", [{}, {"pixels": (5,)}, {"class_weights": "balanced"}, {"precision": "bf16"}])
def test_all_at_once_come_to_what_each_comes_to_alone(
    resident: ResidentData, ask: Ask, monkeypatch: pytest.MonkeyPatch, optimizer: str, how: dict[str, object]
) -> None:
    together = train_masks(ask(*VECTORS, optimizer=optimizer, **how), resident).losses
    alone = [train_masks(ask(one, optimizer=optimizer, **how), resident).losses[0] for one in VECTORS]
    close = 2e-2 if "precision" in how else 1e-5
    assert together == pytest.approx(alone, rel=close)
    assert len(set(together)) == len(VECTORS)
    monkeypatch.setattr(masks, "MOST_NUMBERS", 3 * 2 * UNITS)
    assert train_masks(ask(*VECTORS, optimizer=optimizer, **how), resident).losses == pytest.approx(
        alone, rel=close
    )


@pytest.mark.parametrize("objective", ["train", "validation"])
@pytest.mark.parametrize("pixels", [(), (5,)])
def test_without_the_units_that_tell_the_classes_apart_the_loss_is_higher(
    resident: ResidentData, ask: Ask, objective: str, pixels: tuple[int, ...]
) -> None:
    only = "1" * TELLING + "0" * (UNITS - TELLING)
    task = ask(WITHOUT, only, objective=objective, pixels=pixels, epochs=20, learning_rate=0.1)
    without, telling = train_masks(task, resident).losses
    assert without > 1.3 * telling


def test_equal_tasks_give_equal_bits_in_any_order_with_others(
    data: SearchData, device: str, ask: Ask
) -> None:
    worker = Trainer(data, device)
    tasks = [ask(*VECTORS), ask(*VECTORS, objective="validation", scale="kept"), ask(ALL, precision="bf16")]
    forward = [worker.handle(task).losses for task in tasks]
    torch.rand(3)
    assert [worker.handle(task).losses for task in reversed(tasks)] == forward[::-1]
    assert [Trainer(data, device).handle(task).losses for task in tasks] == forward


@pytest.mark.parametrize(
    "how",
    [
        {"seed": 8},
        *({"objective": "validation"}, {"scale": "kept"}, {"beta": 0.1}),
        *({"epochs": 2}, {"batch_size": 5}, {"learning_rate": 1e-3}, {"optimizer": "sgd"}),
        {"weight_decay": 0.5},
    ],
)
def test_what_a_task_asks_for_reaches_the_training(
    resident: ResidentData, ask: Ask, how: dict[str, object]
) -> None:
    seed = how.pop("seed", 7)
    assert train_masks(replace(ask(*VECTORS, **how), seed=seed), resident) != train_masks(
        ask(*VECTORS), resident
    )


@pytest.mark.parametrize("pixels", [(), (5,)])
def test_the_seed_is_of_the_order_of_the_images_alone(
    resident: ResidentData, ask: Ask, pixels: tuple[int, ...]
) -> None:
    whole = ask(*VECTORS, pixels=pixels, batch_size=IMAGES)
    found, other = (train_masks(replace(whole, seed=seed), resident).losses for seed in (7, 8))
    assert found == pytest.approx(other, rel=1e-5)


def test_class_weights_are_of_the_images_that_are_trained_on_and_losses_are_told_without_them(
    resident: ResidentData, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    alike = train_masks(ask(*VECTORS), resident).losses
    # both classes have as many images
    assert train_masks(ask(*VECTORS, class_weights="balanced"), resident).losses == pytest.approx(alike)
    monkeypatch.setattr(masks, "balanced", lambda labels, classes: np.array([0.01, 1.99]))
    other = train_masks(ask(*VECTORS, class_weights="balanced", epochs=1), resident).losses
    first = train_masks(ask(*VECTORS, epochs=1, batch_size=IMAGES), resident).losses
    assert other != pytest.approx(alike, rel=0.01)
    whole = ask(*VECTORS, class_weights="balanced", epochs=1, batch_size=IMAGES)
    assert train_masks(whole, resident).losses == pytest.approx(first)  # before the first step


def test_a_mask_that_diverges_has_the_highest_loss_and_the_others_never_notice(
    resident: ResidentData, ask: Ask
) -> None:
    """With plain SGD its features explode under a mask that is scaled up beyond measure."""
    values, _ = drawn()
    task = ask(ALL, "0" * (UNITS - 1) + "1", scale="kept", optimizer="sgd")
    place = Path(task.features.place)
    values[:, -1] = 3e38 / UNITS  # finite, and scaled by the number of units infinite
    values[:, -1] *= 2
    content = save({**load(place.read_bytes()), "features": values})
    place.write_bytes(content)
    digest = features._digest(content)
    found = train_masks(
        replace(task, masks=Masks((WITHOUT[:-1] + "0", task.masks.vectors[1]), digest)), resident
    ).losses
    alone = train_masks(replace(task, masks=Masks((WITHOUT[:-1] + "0",), digest)), resident).losses
    assert found[1] == LOSS_OF_DIVERGED
    assert found[0] == pytest.approx(alone[0], rel=1e-5)
    assert found[0] < 10


def test_kept_units_are_scaled_up_by_beta_or_by_how_many_there_are() -> None:
    assert scaled(("0101", "1111"), "beta", 0.2).tolist() == [[0, 1.25, 0, 1.25], [1.25] * 4]
    assert scaled(("0101", "1111"), "kept", 0.2).tolist() == [[0, 2, 0, 2], [1] * 4]
    assert scaled(("0000",), "kept", 0.2).tolist() == [[0] * 4]


def test_features_that_are_lost_are_made_again_on_the_way(data: SearchData, tmp_path: Path) -> None:
    settings = TrainingSettings(epochs=2, batch_size=4, learning_rate=1e-2, class_dropout=0.5)
    recipe = FeaturesTask(parse("C6 | F9"), settings, KEY, 7, 1.0, str(tmp_path / "features"))
    worker = Trainer(data)
    kept = worker.handle(recipe)
    task = MasksTask(Masks(("1" * 9, "01" * 4 + "0"), kept.digest), settings, KEY, 8, recipe)
    found = worker.handle(task)
    Path(recipe.place).write_bytes(b"nonsense")
    progress = Mock()
    again = worker.handle(task, progress)
    assert again.losses == found.losses
    assert progress.epoch.call_count == 1 + 1  # of the network, and of the masks
    Path(recipe.place).unlink()
    assert Trainer(data).handle(task).losses == found.losses


def test_each_epoch_but_the_last_is_told_and_a_time_limit_passes_through(data: SearchData, ask: Ask) -> None:
    progress = Mock()
    found = Trainer(data, clock=iter([5.0, 7.5]).__next__).handle(ask(*VECTORS, epochs=4), progress)
    assert isinstance(found, Losses)
    assert found.seconds == 2.5
    assert progress.epoch.call_count == 3
    assert progress.step.call_count == 4 * len(batch_sizes(IMAGES, 7))
    progress.epoch.side_effect = TimedOutError("too long")
    with pytest.raises(TimedOutError):
        Trainer(data).handle(ask(ALL), progress)


def test_what_cannot_be_trained_is_refused_in_one_line(data: SearchData, ask: Ask) -> None:
    worker, task = Trainer(data), ask(ALL)
    with pytest.raises(EvaluationError, match="the task is for data other"):
        worker.handle(replace(task, data_key="other"))
    with pytest.raises(EvaluationError, match="names no features"):
        worker.handle(replace(task, features=None))
    with pytest.raises(EvaluationError, match="names no features"):
        worker.handle(replace(task, masks=Masks((ALL,))))
    with pytest.raises(EvaluationError, match="a mask has 13 bits, and the layer that it is for 12 units"):
        worker.handle(replace(task, masks=Masks((ALL + "1",), task.masks.features)))
