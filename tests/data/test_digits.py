from pathlib import Path

import numpy as np

from evosearch.data import DigitsSettings, Places

NOWHERE = Places({}, Path("/nowhere"), None)


def test_digits_fill_the_range_of_eight_bits() -> None:
    gathered = DigitsSettings().read(NOWHERE)
    images = np.concatenate([split.images for split in gathered.arrays.values()])
    assert images.shape == (1797, 1, 8, 8)
    assert (str(images.dtype), images.min(), images.max()) == ("uint8", 0, 255)
    assert len(np.unique(images)) == 17  # the source's values 0 to 16, each kept apart
    assert gathered.listing.classes == tuple("0123456789")
    assert {split: len(items) for split, items in gathered.listing.splits.items()} == {
        "train": 1151,
        "validation": 287,
        "test": 359,
    }


def test_digits_are_brought_to_the_configured_size_and_channels() -> None:
    images = DigitsSettings(image_size=12, channels=3).read(NOWHERE).arrays["train"].images
    assert images.shape == (1151, 3, 12, 12)
    np.testing.assert_array_equal(images[:, 0], images[:, 2])
