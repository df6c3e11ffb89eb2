"""scikit-learn's digits: 1797 real handwritten digits, 8 x 8 pixels, gray; shipped with the dependency."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from PIL import Image

from evosearch.blueprint import ImageShape
from evosearch.data.decoding import fit
from evosearch.data.gathering import Gathered, gather_arrays
from evosearch.data.memory import check_memory
from evosearch.data.settings import CutKeys, Places


@dataclass(frozen=True)
class DigitsSettings(CutKeys):
    """scikit-learn's digits, 8 x 8 pixels: nothing to download. Each field is a key under `data`."""

    name: Literal["digits"] = "digits"
    """Which source."""

    default_image: ClassVar = ImageShape(1, 8, 8)
    never_used: ClassVar = ("root", "max_image_pixels")

    def read(self, places: Places) -> Gathered:
        """All of them. The data set's values 0 to 16 become v * 255 / 16, rounded half to even, in 0 to 255."""
        from sklearn.datasets import load_digits  # noqa: PLC0415 -- half a second that other sources do not pay

        bunch = load_digits()
        check_memory(len(bunch.target), self.image, places.memory)
        pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
        images = np.stack([fit(Image.fromarray(one), self.image) for one in pixels])
        return gather_arrays(self, "digits", images, bunch.target, "0123456789")
