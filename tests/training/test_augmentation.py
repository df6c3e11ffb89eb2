"""Flips and crops: what they do to images, which of them are drawn, and that nothing else is drawn otherwise."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from evosearch.blueprint import ImageShape
from evosearch.data import SearchData, Split
from evosearch.evaluation import Augment, TrainingTask
from evosearch.training.augmentation import drawn_moves, farthest, moved
from evosearch.training.batches import ResidentData, epoch_order
from evosearch.training.fit import Fit
from tests.training.test_step import prepared, stepped_weights

Ask = Callable[..., TrainingTask]
SHAPE = ImageShape(3, 24, 40)
IMAGES = np.random.default_rng(0).integers(0, 256, (9, 3, 24, 40), dtype=np.uint8)


def as_numpy_does(image: np.ndarray, flipped: int, up: int, left: int) -> np.ndarray:
    """A flip, mirrored padding on each side, then a window of the image's size."""
    image = image[:, :, ::-1] if flipped else image
    high, wide = farthest(image.shape[1]), farthest(image.shape[2])
    padded = np.pad(image, ((0, 0), (high, high), (wide, wide)), mode="reflect")
    return padded[:, high + up :, wide + left :][:, : image.shape[1], : image.shape[2]]


@pytest.mark.parametrize("augment", ["flip", "flip_crop"])
def test_images_are_flipped_and_moved_as_numpy_does_it(augment: Augment, device: str) -> None:
    moves = drawn_moves(augment, 9, SHAPE, seed=3, epoch=2)
    assert moves is not None
    found = moved(torch.tensor(IMAGES, device=device), torch.tensor(moves, device=device))
    expected = [as_numpy_does(image, *move) for image, move in zip(IMAGES, moves.tolist(), strict=True)]
    assert found.dtype == torch.uint8
    assert np.array_equal(found.cpu().numpy(), np.stack(expected))


def test_half_of_the_images_are_flipped_and_every_move_of_up_to_an_eighth_comes_up() -> None:
    moves = drawn_moves("flip_crop", 4000, SHAPE, seed=0, epoch=1)
    assert moves is not None
    assert moves[:, 0].mean() == pytest.approx(0.5, abs=0.03)
    assert [sorted(set(column)) for column in moves.T.tolist()] == [
        [0, 1],
        [*range(-3, 4)],
        [*range(-5, 6)],
    ]


def test_flips_alone_move_nothing_and_none_draws_nothing() -> None:
    moves = drawn_moves("flip", 100, SHAPE, seed=0, epoch=1)
    assert moves is not None
    assert not moves[:, 1:].any()
    assert drawn_moves("none", 100, SHAPE, seed=0, epoch=1) is None


def test_every_epoch_and_every_seed_draws_its_own_and_the_same_again() -> None:
    drawn = [
        drawn_moves("flip_crop", 50, SHAPE, seed, epoch) for seed in (0, 1, 2**62) for epoch in (1, 2, 1)
    ]
    texts = [moves.tobytes() for moves in drawn if moves is not None]
    assert len(set(texts)) == 6
    assert texts[::3] == texts[2::3]


def test_an_image_of_one_pixel_stays_as_it_is() -> None:
    moves = drawn_moves("flip_crop", 5, ImageShape(1, 1, 1), seed=0, epoch=1)
    images = torch.arange(5, dtype=torch.uint8).reshape(5, 1, 1, 1)
    assert moved(images, torch.tensor(moves)).equal(images)


def test_a_step_trains_on_the_moved_images(data: SearchData) -> None:
    moves = torch.tensor(drawn_moves("flip_crop", 21, data.image, seed=1, epoch=1))
    by_step = stepped_weights(*prepared(data), moves=moves)
    beforehand = Split(moved(torch.tensor(data.train.images), moves).numpy(), data.train.labels)
    before = SearchData(beforehand, data.validation, data.classes, data.key)
    assert by_step.equal(stepped_weights(*prepared(before)))
    assert not by_step.equal(stepped_weights(*prepared(data)))


def test_switched_on_it_moves_no_weights_no_dropout_and_no_order(
    data: SearchData, device: str, ask: Ask
) -> None:
    plain, augmented = (
        Fit(ask("C6 B8 P | F8 F5", augment=augment), ResidentData(data, torch.device(device)))
        for augment in ("none", "flip_crop")
    )
    first, second = plain.state().tensors, augmented.state().tensors
    assert all(first[name].equal(second[name]) for name in first)
    seen: list[torch.Tensor] = []
    step = augmented._stepper.step
    augmented._stepper = _Noting(augmented._stepper, seen, step)  # type: ignore[assignment] # keeps to `Stepper`
    plain.run_epoch()
    augmented.run_epoch()
    assert torch.cat(seen).tolist() == epoch_order(21, 7, 1).tolist()
    for name, state in plain.state().tensors.items():
        if name.startswith("random."):
            assert state.equal(augmented.state().tensors[name])
    assert plain.curve != augmented.curve


class _Noting:
    """A stepper that notes which images each step takes."""

    def __init__(self, inner: object, seen: list[torch.Tensor], step: Callable[..., None]) -> None:
        self._inner, self._seen, self._step = inner, seen, step

    def step(self, rows: torch.Tensor, moves: torch.Tensor | None = None) -> None:
        assert moves is not None and len(moves) == len(rows)
        self._seen.append(rows.cpu())
        self._step(rows, moves)

    def classify(self, *arguments: object) -> object:
        return self._inner.classify(*arguments)  # type: ignore[attr-defined] # a stepper has it


def test_the_same_images_are_drawn_by_a_training_restored_inside_an_epoch(
    data: SearchData, device: str, ask: Ask
) -> None:
    task, resident = ask(augment="flip_crop"), ResidentData(data, torch.device(device))
    undisturbed = Fit(task, resident)
    for _ in range(7):
        undisturbed.step()
    restored = Fit.restore(task, resident, undisturbed.state())
    while not restored.ended:
        restored.step()
        undisturbed.step()
    found, expected = restored.state(), undisturbed.state()
    assert found.curve == expected.curve
    assert all(tensor.equal(found.tensors[name]) for name, tensor in expected.tensors.items())
