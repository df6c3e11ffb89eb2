"""One image file to uint8 pixels, or the reason why not. Files come from strangers and may be hostile."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError, __version__

from evosearch.blueprint import ImageShape
from evosearch.evaluation import Images

DECODE_VERSION = f"3/pillow-{__version__}"
"""Part of every cache name: raise the number whenever `decode` or `fit` could give other pixels, or says more of them."""

Window: TypeAlias = Literal["full", "auto"] | tuple[float, float]
"""Which values of deep pictures become black and white; see `ImageFolderSettings.window`."""

FULL_RANGE = (0.0, 65535.0)
"""What `full` means."""

IMAGE_EXTENSIONS = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Endings, in lower case, by which an image folder knows its images."""

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # EPS and the like would start other programs


class UndecodableError(Exception):
    """The message says why, and follows the file's name."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """An image as networks see it, and what is worth knowing of its file."""

    pixels: Images
    """(C, H, W) uint8."""
    size: tuple[int, int]
    """Width and height in pixels before any change."""
    mode: str
    """Pillow's, before any change."""
    values: tuple[float, float] | None = None
    """Lowest and highest value of a deep picture, one of more than 8 bits; None: it is none."""
    pages: bool = False
    """Whether there are pages or frames after the first."""
    halved: bool = False
    """Whether it has colours of 16 bits, of which Pillow keeps the upper 8."""
    format: str = ""
    """Pillow's name of the file's format; empty of what was no file."""


def decode(
    stream: BinaryIO,
    shape: ImageShape,
    max_pixels: int,
    window: Window = "full",
    neutral_side: int | None = None,
) -> Decoded:
    """Decode the first frame of an image file and bring it to `shape`, by `fit`, or by `fit_neutral` where there is a side.

    EXIF orientation is applied; alpha is laid over black; the values of a deep picture from the lower to the higher end of
    `window` become 0 to 255, the other way round where white is zero. `full`: 16-bit gray over its full range, as it stands
    there. `auto`: deep pictures are only measured, and black, since their scale is known once all are measured.
    Raises UndecodableError; the size is judged from the header, before any pixel is decoded.
    """
    with warnings.catch_warnings(action="ignore"):
        image = _with_header(stream, max_pixels)
    return decode_image(image, shape, window, neutral_side)


def shortest_side(stream: BinaryIO, max_pixels: int) -> int:
    """Of an image file, in pixels, by its header. Raises UndecodableError."""
    with warnings.catch_warnings(action="ignore"):
        return min(_with_header(stream, max_pixels).size)


def decode_image(
    image: Image.Image, shape: ImageShape, window: Window = "full", neutral_side: int | None = None
) -> Decoded:
    """As `decode`, of an image that Pillow has opened."""
    with _judged():
        size, mode, halved = image.size, image.mode, ";16" in _raw_mode(image)
        named = image.format or ""
        white_is_zero = getattr(image, "tag_v2", {}).get(262) == 0
        turned = ImageOps.exif_transpose(image)
        values = _range(turned)
        if values is not None:
            turned = _eight_bit(turned, values, window, white_is_zero)
        pixels = fit(turned, shape) if neutral_side is None else fit_neutral(turned, shape, neutral_side)
        return Decoded(pixels, size, mode, values, _has_pages(image), halved and values is None, named)


def fit(image: Image.Image, shape: ImageShape) -> Images:
    """Pixels (C, H, W) uint8 of an 8-bit image: alpha over black, gray or colour, bilinear with antialiasing."""
    image = _over_black(image).convert("L" if shape.channels == 1 else "RGB")
    pixels = np.asarray(image.resize((shape.width, shape.height), Image.Resampling.BILINEAR))
    return np.ascontiguousarray(np.atleast_3d(pixels).transpose(2, 0, 1))


def fit_neutral(image: Image.Image, shape: ImageShape, side: int) -> Images:
    """As `fit`, of what neither aspect, size, colour nor depth of a file shows in: the square in the middle of an 8-bit image,
    gray, with the resolution of a square of `side` pixels, to which areas are averaged; a smaller one is enlarged bilinearly.
    Where channels are three, they are equal.
    """
    gray = _over_black(image).convert("L")
    least = min(gray.size)
    left, top = ((length - least) / 2 for length in gray.size)
    by = Image.Resampling.BOX if least >= side else Image.Resampling.BILINEAR
    return fit(gray.resize((side, side), by, box=(left, top, left + least, top + least)), shape)


def _over_black(image: Image.Image) -> Image.Image:
    """The image without transparency."""
    if not image.has_transparency_data:
        return image
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)


@contextmanager
def _judged() -> Iterator[None]:
    """Whatever is raised while an image is used becomes an UndecodableError."""
    # Pillow warns of large images, odd palettes, odd tags; we judge ourselves
    with warnings.catch_warnings(action="ignore"):
        try:
            yield
        except UndecodableError:
            raise
        except Exception as error:  # decoders of hostile bytes raise almost anything
            raise UndecodableError(f"cannot be decoded ({_line(error)})") from error


def _with_header(stream: BinaryIO, max_pixels: int) -> Image.Image:
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


def _range(image: Image.Image) -> tuple[float, float] | None:
    """Lowest and highest value of a deep picture; None: it is none."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return None
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UndecodableError("has pixels that are no finite numbers")
    return low, high


def _eight_bit(
    image: Image.Image, values: tuple[float, float], window: Window, white_is_zero: bool
) -> Image.Image:
    """A deep picture with 8 bits; of the `full` range, value v of 16-bit gray becomes round(v / 257)."""
    if window == "auto":
        return Image.new("L", image.size)
    if window != "full":
        low, high = window
        scaled = np.rint(
            (np.clip(np.asarray(image).astype(np.float64), low, high) - low) * (255 / (high - low))
        )
        return Image.fromarray((255 - scaled if white_is_zero else scaled).astype(np.uint8))
    if image.mode == "F":
        raise UndecodableError("has floating-point pixels; set data.window to auto or to [low, high]")
    if values[0] < 0 or values[1] > 65535:
        raise UndecodableError(
            "has 32-bit pixels outside 0 to 65535; set data.window to auto or to [low, high]"
        )
    whole: npt.NDArray[np.int64] = np.asarray(image).astype(np.int64)
    return Image.fromarray(((whole + 128) // 257).astype(np.uint8))


def _raw_mode(image: Image.Image) -> str:
    """How the file holds its pixels, in Pillow's words."""
    tile = getattr(image, "tile", None)
    words = tile[0][3] if tile else ""
    return str(words[0] if isinstance(words, tuple) and words else words)


def _has_pages(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # a second page that is broken does no harm to the first
        return True


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
