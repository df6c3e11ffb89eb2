from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from evosearch.blueprint import ImageShape
from evosearch.data import cache
from evosearch.data.cache import decode_cached
from evosearch.data.reading import DecodedFiles, Decoding

SHAPE = ImageShape(3, 4, 4)
NAMES = ("cat/0.png", "cat/1.png", "dog/0.png")


def read(pets: Path, folder: Path, shape: ImageShape = SHAPE, limit: int = 10_000) -> DecodedFiles:
    return decode_cached(pets, NAMES, Decoding(shape, limit), folder)[0]


def test_the_second_reading_decodes_nothing(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read(pets, tmp_path / "cache")
    monkeypatch.delattr(cache, "decode_files")
    again = read(pets, tmp_path / "cache")
    for field in fields(DecodedFiles):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(first, field.name))
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".npz"]  # no temporary file is left


def test_changed_content_or_settings_are_decoded_anew(pets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    first = read(pets, folder)
    (pets / "cat/0.png").write_bytes((pets / "dog/1.png").read_bytes())
    assert not np.array_equal(read(pets, folder).images, first.images)
    read(pets, folder, ImageShape(1, 4, 4))
    read(pets, folder, limit=9_999)
    assert len(list(folder.iterdir())) == 4


@pytest.mark.parametrize(
    "damage", ["truncated", "garbage", "empty", "one flipped byte", "another shape", "pickle", "no formats"]
)
def test_a_broken_cache_file_is_made_anew(pets: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "cache"
    first = read(pets, folder)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    if damage == "another shape":
        np.savez(path, **{**vars(first), "images": first.images[:2]})
    elif damage == "no formats":  # as an earlier version kept it
        np.savez(path, **{name: array for name, array in vars(first).items() if name != "formats"})
    elif damage == "pickle":
        np.savez(path, images=np.array([{}], object), sizes=first.sizes, modes=first.modes)
    else:
        middle = whole.index(first.images.tobytes()) + 5
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        contents = {
            "truncated": whole[:300],
            "garbage": b"garbage" * 99,
            "empty": b"",
            "one flipped byte": flipped,
        }
        path.write_bytes(contents[damage])
    np.testing.assert_array_equal(read(pets, folder).images, first.images)
    with np.load(path) as mended:
        np.testing.assert_array_equal(mended["images"], first.images)
        assert mended["formats"].tolist() == ["PNG"] * 3


def test_images_are_read_even_where_no_cache_can_be_written(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where the cache folder should be")
    assert read(pets, tmp_path / "file").images.any()


def test_nothing_is_kept_while_there_are_bad_files(pets: Path, tmp_path: Path) -> None:
    (pets / "cat/0.png").write_bytes(b"")
    _, bad = decode_cached(pets, NAMES, Decoding(SHAPE, 10_000), tmp_path / "cache")
    assert bad == {"cat/0.png": "is empty"}
    (pets / "cat/0.png").unlink()
    _, bad = decode_cached(pets, NAMES, Decoding(SHAPE, 10_000), tmp_path / "cache")
    assert bad == {"cat/0.png": "cannot be read: No such file or directory"}
    assert not (tmp_path / "cache").exists()
