"""Data sets to audit, drawn here."""

import io
from collections.abc import Mapping

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from evosearch.data import Dataset, Headers, Split
from evosearch.data.listing import SPLITS
from evosearch.evaluation import Images

Drawn = Mapping[str, list[tuple[int, Images]]]


def scan(seed: int, side: int = 48) -> Images:
    """(1, side, side): a picture with large and small shapes, another one for each seed."""
    noise = np.random.default_rng(seed).normal(size=(side, side))
    shapes = side / 16 * gaussian_filter(noise, side / 16) + 3 * gaussian_filter(noise, 3)
    low, high = shapes.min(), shapes.max()
    return (20 + (shapes - low) / (high - low) * 200).astype(np.uint8)[None]


def resaved(picture: Images, scale: float, quality: int, contrast: float, brightness: float) -> Images:
    """The same scan at another size, brightness and contrast, as a JPEG file of this quality, brought back to its size."""
    side = picture.shape[-1]
    image = Image.fromarray(picture[0]).resize(
        (round(side * scale), round(side * scale)), Image.Resampling.BICUBIC
    )
    changed = np.clip(np.asarray(image, np.float64) * contrast + brightness, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(changed).save(file, "JPEG", quality=quality)
    again = Image.open(file).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(again)[None]


def dataset_of(
    drawn: Drawn, headers: Mapping[str, Headers] | None = None, classes: tuple[str, ...] = ("cat", "dog")
) -> Dataset:
    """`drawn`: class number and picture of each, by split; the n-th picture of a split is called `n.png`."""
    arrays = [
        Split(
            np.stack([picture for _, picture in drawn[split]]),
            np.array([label for label, _ in drawn[split]], np.int64),
        )
        for split in SPLITS
    ]
    names = {split: tuple(f"{number}.png" for number in range(len(drawn[split]))) for split in SPLITS}
    return Dataset(*arrays, classes, "key", names=names, headers=headers)


def of_different_scans(counts: Mapping[str, int]) -> dict[str, list[tuple[int, Images]]]:
    """So many scans in each split, all different, of both classes in turn."""
    return {
        split: [(n % 2, scan(1000 * place + n)) for n in range(counts[split])]
        for place, split in enumerate(SPLITS)
    }


def headers_of(sizes: list[tuple[int, int]], form: str = "PNG", mode: str = "L") -> Headers:
    """Of files of these sizes, all of one format and mode."""
    return Headers(np.full(len(sizes), form), np.full(len(sizes), mode), np.array(sizes, np.int64))
