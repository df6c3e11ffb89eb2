import numpy as np
import pytest
import torch

from evosearch.training.batches import Normalization, Scale, standard, unit

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 2, 6, 5), dtype=np.uint8)


def test_unit_divides_by_255() -> None:
    scaled = Scale(unit(2), torch.device("cpu"))(torch.tensor(IMAGES))
    assert scaled.dtype == torch.float32
    assert np.array_equal(scaled.numpy(), IMAGES.astype(np.float32) / 255)


def test_standard_brings_each_training_channel_to_mean_0_and_deviation_1() -> None:
    scaled = Scale(standard(IMAGES), torch.device("cpu"))(torch.tensor(IMAGES)).numpy()
    assert scaled.mean(axis=(0, 2, 3)) == pytest.approx([0, 0], abs=1e-5)
    assert scaled.std(axis=(0, 2, 3)) == pytest.approx([1, 1], abs=1e-5)


def test_statistics_are_numpys() -> None:
    found = standard(IMAGES)
    assert found.mean == pytest.approx(IMAGES.mean(axis=(0, 2, 3)).tolist())
    assert found.deviation == pytest.approx(IMAGES.std(axis=(0, 2, 3)).tolist())


def test_a_channel_that_never_changes_is_only_centred() -> None:
    images = np.full((3, 1, 2, 2), 40, dtype=np.uint8)
    assert standard(images) == Normalization((40.0,), (255.0,))
    assert not Scale(standard(images), torch.device("cpu"))(torch.tensor(images)).any()


def test_the_images_on_the_device_stay_as_they_are() -> None:
    images = torch.tensor(IMAGES)
    Scale(unit(2), torch.device("cpu"))(images)
    assert np.array_equal(images.numpy(), IMAGES)
