import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from evosearch.blueprint import ImageShape
from evosearch.data.decoding import UndecodableError, decode
from evosearch.evaluation import Images

RGB = ImageShape(3, 4, 4)
GRAY = ImageShape(1, 4, 4)


def file_of(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pixels_of(content: bytes, shape: ImageShape = RGB, max_pixels: int = 10_000) -> Images:
    return decode(io.BytesIO(content), shape, max_pixels).pixels


def noise(side: int = 16) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (200, 100, 50, 0), (0, 0, 0)),
        ("RGBA", (200, 100, 50, 128), (100, 50, 25)),
        ("LA", (200, 128), (100, 100, 100)),
        ("L", 7, (7, 7, 7)),
        ("1", 1, (255, 255, 255)),
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("I;16", 65535, (255, 255, 255)),
        ("I;16", 257 * 9, (9, 9, 9)),
    ],
)
def test_every_mode_becomes_colour_with_alpha_over_black(
    mode: str, colour: Any, expected: tuple[int, int, int]
) -> None:
    pixels = pixels_of(file_of(Image.new(mode, (5, 7), colour)))
    assert pixels.shape == (3, 4, 4)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels[:, 2, 2], expected, atol=1)


def test_a_palette_with_a_transparent_colour_is_laid_over_black() -> None:
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 250, 240, 230])
    assert pixels_of(file_of(palette))[:, 0, 0].tolist() == [250, 240, 230]
    assert pixels_of(file_of(palette, transparency=1)).max() == 0


def test_a_print_image_in_cmyk_keeps_its_colour() -> None:
    pixels = pixels_of(file_of(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "JPEG", quality=100))
    np.testing.assert_allclose(pixels[:, 0, 0], (255, 0, 0), atol=3)


def test_gray_is_the_luma_of_the_colours() -> None:
    assert pixels_of(file_of(Image.new("RGB", (4, 4), (255, 0, 0))), GRAY)[:, 0, 0].tolist() == [76]


def test_a_photo_taken_sideways_is_turned_by_its_exif_orientation() -> None:
    image = Image.new("L", (4, 4))
    image.paste(255, (0, 0, 4, 1))  # a white top row
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the top row belongs at the right
    pixels = pixels_of(file_of(image, exif=exif), GRAY)
    assert pixels[0, :, 3].min() == 255
    assert pixels[0, :, :3].max() == 0


def test_shrinking_averages_instead_of_skipping_pixels() -> None:
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    pixels = pixels_of(file_of(Image.fromarray(stripes)), GRAY)
    assert 110 < pixels.min() <= pixels.max() < 145


def test_the_size_and_mode_of_the_file_are_remembered() -> None:
    decoded = decode(io.BytesIO(file_of(Image.new("LA", (5, 9)))), RGB, 10_000)
    assert (decoded.size, decoded.mode) == ((5, 9), "LA")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"<html>404</html>", "is not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n", "is not an image"),
        (file_of(noise())[:-200], "cannot be decoded .*truncated"),
        (file_of(noise(), "JPEG")[:-50], "cannot be decoded .*truncated"),
        (file_of(Image.new("1", (101, 100))), "bomb: 101 x 100 pixels, data.max_image_pixels allows 10000"),
        (file_of(Image.new("F", (4, 4)), "TIFF"), "has floating-point pixels; set data.window to auto"),
        (file_of(Image.new("I", (4, 4), 70_000), "TIFF"), "has 32-bit pixels outside 0 to 65535"),
    ],
)
def test_what_cannot_be_decoded_says_why(content: bytes, reason: str) -> None:
    with pytest.raises(UndecodableError, match=reason):
        pixels_of(content)


def test_a_bomb_is_refused_from_its_header_before_a_pixel_is_decoded() -> None:
    header_only = file_of(Image.new("1", (20_000, 20_000)))[:60]
    with pytest.raises(
        UndecodableError, match=r"bomb: more pixels than data\.max_image_pixels allows \(170000000\)"
    ):
        pixels_of(header_only, max_pixels=170_000_000)
    header_only = file_of(Image.new("1", (11_000, 11_000)))[:60]  # Pillow itself would only warn
    with pytest.raises(UndecodableError, match="bomb: 11000 x 11000 pixels"):
        pixels_of(header_only)


@given(st.data())
def test_a_damaged_file_gives_pixels_or_a_reason_and_nothing_else(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]))
    content = bytearray(file_of(noise(), kind))
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[position] = data.draw(st.integers(0, 255))
    try:
        pixels = pixels_of(bytes(content[: data.draw(st.integers(0, len(content)))]))
    except UndecodableError as error:
        assert "\n" not in str(error)
    else:
        assert pixels.shape == (3, 4, 4)
