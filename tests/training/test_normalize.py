import numpy as np
import pytest
import torch

from evosearch.data import SearchData, Split
from evosearch.evaluation import TrainingSettings
from evosearch.genome import parse_network
from evosearch.training.batches import (
    Normalization,
    ResidentData,
    Scale,
    balanced,
    imagenet,
    standard,
    unit,
)

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


def test_imagenet_is_what_torchvisions_own_weights_want() -> None:
    from torchvision.models import ResNet18_Weights

    images = torch.tensor(np.random.default_rng(1).integers(0, 256, (4, 3, 224, 224), dtype=np.uint8))
    theirs = ResNet18_Weights.IMAGENET1K_V1.transforms(crop_size=224, resize_size=224)(images)
    ours = Scale(imagenet(3), torch.device("cpu"))(images)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_gray_images_take_the_averages_of_imagenets_channels() -> None:
    images = torch.tensor(IMAGES[:, :1])
    scaled = Scale(imagenet(1), torch.device("cpu"))(images)
    expected = (images / 255 - np.mean([0.485, 0.456, 0.406])) / np.mean([0.229, 0.224, 0.225])
    torch.testing.assert_close(scaled, expected.float(), rtol=1e-5, atol=1e-5)


def test_one_channel_becomes_as_many_as_there_are_means_each_by_its_own() -> None:
    images = torch.tensor(IMAGES[:, :1])
    scaled = Scale(imagenet(3), torch.device("cpu"))(images)
    assert scaled.equal(Scale(imagenet(3), torch.device("cpu"))(images.repeat(1, 3, 1, 1)))


def test_a_hand_made_network_gets_gray_images_repeated_and_a_chromosome_as_they_are() -> None:
    split = Split(IMAGES[:, :1], np.arange(50) % 2)
    data = ResidentData(SearchData(split, split, ("no", "yes"), "key"), torch.device("cpu"))
    settings = TrainingSettings(normalize="imagenet")
    found = [data.normalization(settings, parse_network(text)) for text in ("resnet18", "C8 P | F4")]
    assert [len(one.mean) for one in found] == [3, 1]
    unit_ = data.normalization(TrainingSettings(), parse_network("resnet18"))
    assert len(unit_.mean) == 1


def test_balanced_weights_are_scikit_learns() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0] * 7 + [1] * 2 + [2] * 30)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert balanced(labels, 3) == pytest.approx(expected, rel=1e-15)


def test_class_weights_are_of_the_images_that_are_trained_on() -> None:
    train, validation = (Split(IMAGES[: len(labels)], np.array(labels)) for labels in ([0, 0, 0, 1], [1, 1]))
    data = ResidentData(SearchData(train, validation, ("no", "yes"), "key"), torch.device("cpu"))
    found = [
        data.class_weights(TrainingSettings(class_weights="balanced", fit=fit))
        for fit in ("train", "train_validation")
    ]
    assert [weights.tolist() for weights in found if weights is not None] == [
        [pytest.approx(2 / 3), 2.0],
        [1.0, 1.0],
    ]
    assert data.class_weights(TrainingSettings()) is None
