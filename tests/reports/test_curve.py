"""The evolution curve as a picture."""

import numpy as np
import pytest
from PIL import Image

from evosearch.reports import draw_evolution
from evosearch.storage import GenerationRow

FAILED = GenerationRow(1, (4, 5), None, None, None)
GROWING = [
    GenerationRow(0, (0, 1, 2), 0.5, 0.25, 0.125),
    FAILED,
    GenerationRow(2, (2, 6, 7), 0.9, 0.75, 0.2),
]
RED, BLUE = (228, 87, 86), (76, 120, 168)


def drawn(rows, tmp_path):
    file = tmp_path / "not" / "yet" / "there" / "evolution.png"
    draw_evolution("pets", rows, file)
    with Image.open(file) as image:
        assert (image.format, image.size) == ("PNG", (1200, 720))
        return np.asarray(image.convert("RGB")).astype(int)


def pixels_of(picture, colour):
    return int((np.abs(picture - colour).max(axis=2) < 8).sum())


def test_the_picture_shows_best_and_mean(tmp_path):
    picture = drawn(GROWING, tmp_path)
    assert picture.std() > 10
    assert pixels_of(picture, RED) > 1000
    assert pixels_of(picture, BLUE) > 1000


def test_the_best_rises_from_left_to_right(tmp_path):
    picture = drawn(GROWING, tmp_path)
    rows, columns = np.nonzero(np.abs(picture - RED).max(axis=2) < 8)
    curve = rows < 500  # the legend lies below
    first, last = columns[curve].min(), columns[curve].max()
    assert rows[curve & (columns < first + 20)].mean() > rows[curve & (columns > last - 20)].mean() + 100


@pytest.mark.parametrize("rows", [[], [FAILED], GROWING[:1]], ids=["none", "all failed", "one"])
def test_few_generations_make_a_picture_all_the_same(tmp_path, rows):
    assert drawn(rows, tmp_path).std() > 5


def test_a_picture_is_drawn_anew_over_the_old_one(tmp_path):
    before = drawn(GROWING[:1], tmp_path)
    assert (drawn(GROWING, tmp_path) != before).any()
