"""`data.neutral`: what a file is like besides what it shows leaves no trace in the pixels."""

from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from evosearch.blueprint import ImageShape
from evosearch.data import Dataset, ImageFolderSettings, load_dataset
from evosearch.data.decoding import fit_neutral
from evosearch.evaluation import Images
from evosearch.training.trained import TrainedNetwork

FloatArray: TypeAlias = npt.NDArray[np.float64]

SIDE = 24


def scene(seed: int, side: int) -> Image.Image:
    """A few smooth blobs on a square of `side` pixels, the same for every side."""
    rng = np.random.default_rng(seed)
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    places = rng.uniform(0.1, 0.9, (5, 2))
    blobs = sum(
        rng.uniform(40, 120) * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 0.03)
        for px, py in places  # each blob draws its own height
    )
    return Image.fromarray(np.clip(blobs, 0, 255).astype(np.uint8))


def wider(picture: Image.Image, by: int) -> Image.Image:
    """With `by` pixels of its edge repeated on either side."""
    return Image.fromarray(np.pad(np.asarray(picture), ((0, 0), (by, by)), mode="edge"))


def write(folder: Path, name: str, picture: Image.Image, **options: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    picture.save(folder / name, **options)


def load(root: Path, *, neutral: bool, side: int = 12, channels: int = 1) -> Dataset:
    settings = ImageFolderSettings(
        root=str(root), image_size=side, channels=channels, neutral=neutral, validation_fraction=0.3
    )
    return load_dataset(settings, env={}, cwd=root, cache=None)


@pytest.fixture
def telling(tmp_path: Path) -> Path:
    """Two classes of the same scenes; those of class b are wide, large, coloured JPEGs, and the others small gray PNGs."""
    for seed in range(30):
        write(tmp_path / "a", f"{seed}.png", scene(seed, SIDE))
        large = wider(scene(100 + seed, 5 * SIDE), 3 * SIDE).convert("RGB")
        write(tmp_path / "b", f"{seed}.jpg", large, quality=95)
    return tmp_path


def test_two_files_of_one_picture_come_near_each_other(tmp_path: Path) -> None:
    shape = ImageShape(1, 16, 16)
    small = fit_neutral(scene(3, SIDE), shape, SIDE).astype(float)
    for other in (
        scene(3, 4 * SIDE),
        wider(scene(3, 4 * SIDE), 50).convert("RGB"),
        wider(scene(3, 3 * SIDE), 11).convert("RGBA"),
        wider(scene(3, 5 * SIDE), 30).convert("P", palette=Image.Palette.ADAPTIVE),
    ):
        assert np.abs(fit_neutral(other, shape, SIDE) - small).mean() < 2
    assert np.abs(fit_neutral(scene(4, SIDE), shape, SIDE) - small).mean() > 10


def accuracy_by_edges(data: Dataset) -> float:
    """Of telling the class of test pictures by how much their left and right edges change from column to column, which is
    little where a wide picture was squeezed, against the means of both classes in train.
    """

    def changes(images: Images) -> FloatArray:
        steps = np.abs(np.diff(images.astype(np.float64), axis=3))[..., [0, 1, -2, -1]]
        return np.asarray(steps.mean(axis=(1, 2, 3)))

    seen, judged = changes(data.train.images), changes(data.test.images)
    means = np.array([seen[data.train.labels == label].mean() for label in (0, 1)])
    answers = np.abs(judged[:, None] - means).argmin(axis=1)
    return float((answers == data.test.labels).mean())


def test_the_aspect_of_a_file_can_be_told_from_squeezed_pixels_and_not_from_neutral_ones(
    telling: Path,
) -> None:
    squeezed, neutral = (load(telling, neutral=one) for one in (False, True))
    assert accuracy_by_edges(squeezed) == 1
    assert accuracy_by_edges(neutral) < 0.75


def test_the_smallest_side_of_all_splits_is_what_every_picture_is_brought_to(telling: Path) -> None:
    data = load(telling, neutral=True)
    assert data.neutral_side == SIDE
    assert any("24 x 24 pixels" in note for note in data.notes)
    write(telling / "a", "tiny.png", Image.new("RGB", (90, 7)))
    assert load(telling, neutral=True).neutral_side == 7
    assert load(telling, neutral=False).neutral_side is None


def test_three_channels_are_one_gray(telling: Path) -> None:
    images = load(telling, neutral=True, channels=3).train.images
    assert images.shape[1] == 3
    assert (images == images[:, :1]).all()


def test_what_is_kept_of_neutral_pictures_is_no_answer_for_others(telling: Path, tmp_path: Path) -> None:
    def read(*, neutral: bool) -> Dataset:
        settings = ImageFolderSettings(root=str(telling), image_size=12, channels=1, neutral=neutral)
        return load_dataset(settings, env={}, cwd=telling, cache=tmp_path.parent / f"{tmp_path.name}-kept")

    first = [read(neutral=one) for one in (False, True)]
    again = [read(neutral=one) for one in (False, True)]
    assert first[0].key != first[1].key
    assert [one.key for one in first] == [one.key for one in again]
    assert [one.neutral_side for one in again] == [None, SIDE]


def test_a_trained_network_reads_a_picture_as_its_search_did(telling: Path) -> None:
    data = load(telling, neutral=True)
    scale = (torch.zeros(1), torch.ones(1))
    network = TrainedNetwork(torch.nn.Flatten(), "resnet18", data.classes, data.for_search().image, scale)
    network.neutral_side = data.neutral_side
    seen = {image.tobytes() for split in (data.train, data.validation, data.test) for image in split.images}
    for path in (telling / "a/3.png", telling / "b/4.jpg"):
        assert network.preprocess(path).numpy().tobytes() in seen
        with Image.open(path) as opened:
            assert network.preprocess(opened).numpy().tobytes() in seen
