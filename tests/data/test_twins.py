"""Pictures that are one picture, and pictures that only look alike."""

import io
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evosearch.blueprint import ImageShape
from evosearch.data import twins
from evosearch.data.decoding import fit
from evosearch.data.twins import comparable, has_twin, near_twins, small_copies
from tests.data.audited import resaved, scan


def some(count: int, side: int = 48) -> np.ndarray:
    return np.stack([scan(seed, side) for seed in range(count)])


def planted(picture: np.ndarray, number: int) -> np.ndarray:
    """The picture resaved in one of many ways."""
    rng = np.random.default_rng(number)
    return resaved(
        picture, (0.6, 0.8, 1.4, 2)[number % 4], 40 + number, rng.uniform(0.85, 1.1), rng.uniform(-8, 8)
    )


def test_twenty_of_twenty_planted_twins_are_found_and_nothing_else() -> None:
    originals = some(60)
    copies = np.stack([planted(originals[number], number) for number in range(20)])
    found = near_twins(small_copies([originals, copies]))
    assert list(zip(found.one.tolist(), found.other.tolist(), strict=True)) == [
        (n, 60 + n) for n in range(20)
    ]
    assert found.count == 20
    assert (found.likeness >= twins.ALIKE).all()


def test_each_of_twenty_resaved_files_of_the_real_covid_ct_is_found() -> None:
    shared = Path(os.environ.get("EVOSEARCH_DATA") or Path(__file__).parents[3] / "shared" / "data")
    files = sorted((shared / "covid-ct/Images").glob("*/*"))[::37][:20]
    if len(files) < 20:
        pytest.skip("COVID-CT is not here; set EVOSEARCH_DATA to the folder that holds covid-ct")
    shape = ImageShape(1, 64, 64)
    originals, copies = [], []
    for number, file in enumerate(files):
        with Image.open(file) as image:
            gray = image.convert("L")
        originals.append(fit(gray, shape))
        scaled = gray.resize([round(side * (0.5, 0.7, 1.4, 2)[number % 4]) for side in gray.size])
        saved = io.BytesIO()
        scaled.point(lambda value, n=number: value * (0.85 + n / 80) + n - 10).save(
            saved, "JPEG", quality=50 + 2 * number
        )
        copies.append(fit(Image.open(saved), shape))
    assert has_twin(small_copies([np.stack(copies)]), small_copies([np.stack(originals)])).all()
    found = near_twins(small_copies([np.stack(originals), np.stack(copies)]))
    assert list(zip(found.one.tolist(), found.other.tolist(), strict=True)) == [
        (n, 20 + n) for n in range(20)
    ]


def test_what_is_alike_as_a_whole_and_not_in_detail_is_set_aside() -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:48, :48]
    chest = 120 + 90 * np.sin(rows / 12) * np.cos(columns / 9)  # as X-rays of one pose are
    alike = np.stack([np.clip(chest + rng.normal(0, 8, chest.shape), 0, 255) for _ in range(8)])
    found = near_twins(small_copies([alike.astype(np.uint8)[:, None]]))
    assert (found.count, found.set_aside) == (0, 8 * 7 // 2)


@pytest.mark.parametrize("dense", [0.0, 1.0], ids=["whole matrices", "pair by pair"])
def test_both_ways_of_comparing_find_the_same(dense: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins, "_DENSE", dense)
    monkeypatch.setattr(twins, "_CHUNK", 7)  # pairs within a piece and across
    originals = some(20)
    copies = np.stack([planted(originals[number], number) for number in range(5)])
    found = near_twins(small_copies([originals, copies]))
    assert list(zip(found.one.tolist(), found.other.tolist(), strict=True)) == [(n, 20 + n) for n in range(5)]
    assert has_twin(small_copies([originals]), small_copies([copies])).tolist() == [True] * 5 + [False] * 15


def test_pictures_of_one_colour_are_like_nothing() -> None:
    plain = np.stack([np.full((1, 48, 48), 40 * n, np.uint8) for n in range(6)])
    assert near_twins(small_copies([plain, some(2)])).count == 0


def test_of_very_many_pairs_all_are_counted_and_some_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins, "MOST_PAIRS", 10)
    monkeypatch.setattr(twins, "_CHUNK", 4)
    found = near_twins(small_copies([np.stack([scan(1)] * 9)]))
    assert (found.count, len(found.one), len(found.other), len(found.likeness)) == (36, 10, 10, 10)


def test_among_too_many_or_too_small_pictures_near_twins_are_not_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert comparable([some(3), some(1)])
    assert not comparable([some(3, side=15)])
    monkeypatch.setattr(twins, "MOST_COMPARED", 3)
    assert not comparable([some(3), some(1)])


@pytest.mark.parametrize("side", [4, 8, 17, 100])
def test_a_small_copy_is_the_mean_of_its_fields_at_any_size(side: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 3, side, side), dtype=np.uint8)
    fields = min(side, 32)
    edges = [n * side // fields for n in range(fields + 1)]
    gray = images.astype(np.float64).mean(axis=1)
    means = np.array(
        [[gray[:, a:b, c:d].mean(axis=(1, 2)) for c, d in pairwise(edges)] for a, b in pairwise(edges)]
    )
    flat = np.moveaxis(means, 2, 0).reshape(3, -1)
    flat -= flat.mean(axis=1, keepdims=True)
    expected = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    np.testing.assert_allclose(small_copies([images]).fine, expected, atol=1e-5)


def test_no_picture_has_no_twin() -> None:
    none = small_copies([some(1)[:0]])
    assert (len(none), near_twins(none).count) == (0, 0)
    assert has_twin(none, small_copies([some(2)])).tolist() == []
