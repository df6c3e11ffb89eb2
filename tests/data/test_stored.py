import numpy as np
import pytest
from PIL import Image

from evosearch.blueprint import ImageShape
from evosearch.data.decoding import decode_image
from evosearch.data.stored import Stored, brought, in_chunks


@pytest.mark.parametrize("shape", [(5, 6, 7), (5, 6, 7, 3)], ids=["gray", "colour"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sides", [(6, 7), (4, 4), (9, 9)])
def test_stored_images_become_what_image_files_of_the_same_pixels_would(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], channels: int, sides: tuple[int, int]
) -> None:
    monkeypatch.setattr("evosearch.data.stored.CHUNK_BYTES", 300)  # several chunks
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    wanted = ImageShape(channels, *sides)
    found = brought(Stored(np.zeros(5, np.int64), lambda: in_chunks(images)), wanted)
    assert found.shape == (5, channels, *sides)
    for one, image in zip(found, images, strict=True):
        np.testing.assert_array_equal(one, decode_image(Image.fromarray(image), wanted).pixels)
