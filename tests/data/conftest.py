"""Small image folders on disk, as a user would have them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WriteImages = Callable[..., list[Path]]


@pytest.fixture
def write_images() -> WriteImages:
    """Write `count` different noise images `0.png`, `1.png`, … into a folder; `seed` makes folders differ."""

    def write(folder: Path, count: int, *, seed: int = 0, mode: str = "RGB", side: int = 6) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng([seed, *folder.as_posix().encode()])
        paths = [folder / f"{i}.png" for i in range(count)]
        for path in paths:
            pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).convert(mode).save(path)
        return paths

    return write


@pytest.fixture
def covid_ct(tmp_path: Path, write_images: WriteImages) -> Path:
    """A COVID-CT of three images per class, one in each split."""
    root = tmp_path / "covid-ct"
    for name in ("COVID", "NonCOVID"):
        images = write_images(root / "Images" / f"CT_{name}", 3)
        splits = root / "Data-split" / name
        splits.mkdir(parents=True)
        for word, image in zip(("train", "val", "test"), images, strict=True):
            (splits / f"{word}CT_{name}.txt").write_text(f"{image.name}\n")
    return root


@pytest.fixture
def pets(tmp_path: Path, write_images: WriteImages) -> Path:
    """Ten cats and five dogs in two class folders."""
    root = tmp_path / "pets"
    write_images(root / "cat", 10)
    write_images(root / "dog", 5)
    return root
