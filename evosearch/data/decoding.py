"""One image file to uint8 pixels, or the reason why not. Files come from strangers and may be hostile."""

import warnings
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError, __version__

from evosearch.blueprint import ImageShape
from evosearch.evaluation import Images

DECODE_VERSION = f"1/pillow-{__version__}"
"""Part of every cache name: raise the number whenever `decode` or `fit` could give other pixels."""

IMAGE_EXTENSIONS = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Endings, in lower case, by which an image folder knows its images."""

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # EPS and the like would start other programs


class UndecodableError(Exception):
    """The message says why, to stand after the file's name.."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """`pixels` (C, H, W) uint8; `size` (width, height) in pixels and Pillow's `mode` before any change."""

    pixels: Images
    size: tuple[int, int]
    mode: str


def decode(stream: BinaryIO, shape: ImageShape, max_pixels: int) -> Decoded:
    """Decode the first frame of an image file and bring it to `shape`.

    EXIF orientation is applied; alpha is laid over black; 16-bit gray is scaled to 8 bit over its full range.
    Raises UndecodableError; the size is judged from the header, before any pixel is decoded.
    """
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # Pillow warns of large images, odd palettes, odd tags; we judge ourselves
        image = _opened(stream, max_pixels)
        try:
            size, mode = image.size, image.mode
            return Decoded(fit(_eight_bit(ImageOps.exif_transpose(image)), shape), size, mode)
        except UndecodableError:
            raise
        except Exception as error:  # decoders of hostile bytes raise almost anything
            raise UndecodableError(f"cannot be decoded ({_line(error)})") from error


def fit(image: Image.Image, shape: ImageShape) -> Images:
    """Pixels (C, H, W) uint8 of an 8-bit image: alpha over black, gray or colour, bilinear with antialiasing."""
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
    image = image.convert("L" if shape.channels == 1 else "RGB")
    pixels = np.asarray(image.resize((shape.width, shape.height), Image.Resampling.BILINEAR))
    return np.ascontiguousarray(np.atleast_3d(pixels).transpose(2, 0, 1))


def _opened(stream: BinaryIO, max_pixels: int) -> Image.Image:
    if not stream.read(1):
        raise UndecodableError("is empty")
    stream.seek(0)
    try:
        image = Image.open(stream, formats=_FORMATS)
    except UnidentifiedImageError:
        raise UndecodableError("is not an image (or its header is broken)") from None
    except Image.DecompressionBombError as error:
        raise UndecodableError(
            f"is a decompression bomb: more pixels than data.max_image_pixels allows ({max_pixels})"
        ) from error
    except Exception as error:  # as above
        raise UndecodableError(f"has a broken header ({_line(error)})") from error
    width, height = image.size
    if width * height > max_pixels:
        raise UndecodableError(
            f"is a decompression bomb: {width} x {height} pixels, data.max_image_pixels allows {max_pixels}"
        )
    return image


def _eight_bit(image: Image.Image) -> Image.Image:
    """The image with 8 bits per channel; value v of 16-bit gray becomes round(v / 257)."""
    if image.mode == "F":
        raise UndecodableError("has floating-point pixels; convert it to 8 bit")
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    values: npt.NDArray[np.int64] = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise UndecodableError("has 32-bit pixels outside 0 to 65535; convert it to 8 bit")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
