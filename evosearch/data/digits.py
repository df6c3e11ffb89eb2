"""scikit-learn's digits: 1797 real handwritten digits, 8 x 8 pixels, gray; shipped with the dependency."""

import numpy as np
from PIL import Image

from evosearch.blueprint import ImageShape
from evosearch.data.cutting import cut_missing
from evosearch.data.decoding import fit
from evosearch.data.listing import Item, Listing
from evosearch.data.settings import DataSettings
from evosearch.evaluation import Images


def read_digits(settings: DataSettings) -> tuple[Listing, Images]:
    """The listing, and the images in the order of `Listing.names`.

    The data set's values 0 to 16 become v * 255 / 16, rounded half to even, in 0 to 255.
    """
    from sklearn.datasets import load_digits  # noqa: PLC0415 -- half a second that other sources do not pay

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    items = tuple(Item(f"digits/{i:04}", int(label)) for i, label in enumerate(bunch.target))
    listing = Listing(tuple("0123456789"), cut_missing({"train": items}, settings))
    return listing, _fitted(pixels, settings.image)


def _fitted(pixels: Images, shape: ImageShape) -> Images:
    return np.stack([fit(Image.fromarray(image), shape) for image in pixels])
