"""Deep pictures: 16 and 32 bit and floating point, one scale for all of a data set."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evosearch.data import Dataset, ImageFolderSettings, inspect_data, load_dataset
from evosearch.data.decoding import Window
from evosearch.data.reading import DeepFiles
from evosearch.errors import DataError

SETTINGS = ImageFolderSettings(root="scans", image_size=4, channels=1)


@pytest.fixture
def scans(tmp_path: Path) -> Callable[..., Path]:
    """Writes `scans/{train,val,test}/{ill,well}/0.tif`, each of one value; `values` from train's first to test's last."""

    def write(values: list[float], kind: Any = np.uint16, **options: Any) -> Path:
        paths = [f"{split}/{name}" for split in ("train", "val", "test") for name in ("ill", "well")]
        for path, value in zip(paths, values, strict=True):
            folder = tmp_path / "scans" / path
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((6, 6), value, kind)).save(folder / "0.tif", **options)
        return tmp_path / "scans"

    return write


def load(root: Path, window: Window, cache: Path | None = None) -> Dataset:
    return load_dataset(replace(SETTINGS, window=window), env={}, cwd=root.parent, cache=cache)


def grays(data: Dataset) -> list[int]:
    return [
        int(image[0, 0, 0]) for split in (data.train, data.validation, data.test) for image in split.images
    ]


TWELVE_BITS = [1000.0, 3550.0, 1010.0, 2020.0, 0.0, 4095.0]


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ("full", [4, 14, 4, 8, 0, 16]),
        ("auto", [0, 255, 1, 102, 0, 255]),  # the scale is train's, whatever lies beyond it elsewhere
        ((0.0, 4095.0), [62, 221, 63, 126, 0, 255]),
        ((2000.0, 2255.0), [0, 255, 0, 20, 0, 255]),
    ],
)
def test_one_scale_for_all_pictures(scans: Callable[..., Path], window: Window, expected: list[int]) -> None:
    assert grays(load(scans(TWELVE_BITS), window)) == expected


def test_where_no_picture_of_train_is_deep_the_others_give_the_scale(scans: Callable[..., Path]) -> None:
    root = scans(TWELVE_BITS)
    for name in ("ill", "well"):
        Image.fromarray(np.full((6, 6), 200, np.uint8)).save(root / "train" / name / "0.tif")
    assert grays(load(root, "auto")) == [200, 200, 63, 126, 0, 255]


def test_what_is_decoded_is_what_is_kept(scans: Callable[..., Path], tmp_path: Path) -> None:
    root = scans(TWELVE_BITS)
    keys = [load(root, window, tmp_path / "cache").key for window in ("auto", "auto", "full", (0.0, 4095.0))]
    assert keys[0] == keys[1] == load(root, "auto").key
    assert len(set(keys)) == len(list((tmp_path / "cache").iterdir())) == 3


@pytest.mark.parametrize(("kind", "low"), [(np.int32, -1000), (np.float32, -0.5)])
def test_32_bits_and_fractions_have_a_scale_too_and_none_without_a_window(
    scans: Callable[..., Path], kind: Any, low: float
) -> None:
    root = scans([low, -low, 0, low, low / 2, -low], kind)
    assert grays(load(root, "auto")) == [0, 255, 128, 0, 64, 255]
    with pytest.raises(DataError, match=r"set data\.window to auto or to"):
        load(root, "full")


def test_white_is_zero_is_turned_round_at_every_depth_but_in_a_search_that_began_without(
    scans: Callable[..., Path],
) -> None:
    deep = scans([0, 4000, 1000, 2000, 3000, 4000], tiffinfo={262: 0})
    assert grays(load(deep, "auto")) == [255, 0, 191, 127, 64, 0]
    assert grays(load(deep, "full")) == [0, 16, 4, 8, 12, 16]
    shallow = scans([0, 250, 10, 20, 30, 40], np.uint8, tiffinfo={262: 0})
    assert grays(load(shallow, "auto")) == grays(load(shallow, "full")) == [0, 250, 10, 20, 30, 40]


def test_pixels_that_are_no_numbers_are_bad(scans: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match=r"'train/ill/0\.tif' has pixels that are no finite numbers"):
        load(scans([float("nan"), 1, 2, 3, 4, 5], np.float32), "auto")


def test_pictures_of_one_value_have_a_scale(scans: Callable[..., Path]) -> None:
    assert grays(load(scans([7] * 6), "auto")) == [0] * 6


def test_the_range_is_shown_and_a_small_part_of_the_window_is_warned_of(scans: Callable[..., Path]) -> None:
    root = scans(TWELVE_BITS)
    report = inspect_data(replace(SETTINGS, window="full"), env={}, cwd=root.parent, cache=None)
    assert report.source is not None
    assert report.source.deep == DeepFiles(6, 0, 4095, (0, 65535))
    assert report.to_json()["source"]["deep"] == {"count": 6, "low": 0, "high": 4095, "window": (0, 65535)}
    warned = (
        "the values of 6 deep pictures lie from 0 to 4095, in 6.2% of 0 to 65535, so that little of them is kept; "
        "`data.window: auto` takes their own range"
    )
    assert warned in report.notes
    assert warned in load(root, "full").notes
    auto = inspect_data(SETTINGS, env={}, cwd=root.parent, cache=None)
    assert auto.source is not None
    assert auto.source.deep == DeepFiles(6, 0, 4095, (1000, 3550))
    assert not [note for note in auto.notes if "deep" in note]


def test_eight_bits_are_never_touched_by_a_window(pets: Path) -> None:
    keys = {
        load_dataset(
            ImageFolderSettings(root="pets", image_size=4, window=window), env={}, cwd=pets.parent, cache=None
        ).key
        for window in ("auto", "full", (0.0, 9.0))
    }
    assert len(keys) == 1


def test_pages_after_the_first_and_colours_of_16_bits_are_told(pets: Path) -> None:
    pages = [Image.new("L", (6, 6), gray) for gray in (10, 200)]
    for name, kind in (("1.tif", "TIFF"), ("2.gif", "GIF"), ("3.webp", "WEBP")):
        pages[0].save(pets / "cat" / name, kind, save_all=True, append_images=pages[1:])
    report = inspect_data(ImageFolderSettings(root="pets", image_size=4), env={}, cwd=pets.parent, cache=None)
    assert report.source is not None
    assert report.source.pages == 3
    assert "3 files have several pages, of which the first counts" in report.notes
    (pets / "dog" / "9.png").write_bytes(png_of_16_bit_colours(6))
    report = inspect_data(ImageFolderSettings(root="pets", image_size=4), env={}, cwd=pets.parent, cache=None)
    assert report.bad_files == ()
    assert "1 file has colours of 16 bits, of which the upper 8 count" in report.notes


def png_of_16_bit_colours(side: int) -> bytes:
    """A black one, which Pillow cannot write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", side, side, 16, 2, 0, 0, 0)
    pixels = zlib.compress((b"\0" + bytes(6 * side)) * side)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
