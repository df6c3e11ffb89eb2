"""The evolution of a search, and of a group, as a picture."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from evosearch.reports import draw_evolution, draw_group
from evosearch.reports.curve import MOST_NAMED, evolution_figure, group_figure
from evosearch.storage import GenerationRow


def row(generation, *fitness, failed=0):
    members = tuple(range(len(fitness) + failed))
    if not fitness:
        return GenerationRow(generation, members, None, None, None, failed=failed)
    best, mean, deviation = max(fitness), float(np.mean(fitness)), float(np.std(fitness))
    return GenerationRow(generation, members, best, mean, deviation, fitness, failed)


LOST = row(1, failed=3)
SKEWED = row(0, 0.1, 0.1, 0.9, 0.9, 0.9)
"""Mean and deviation reach above its best."""
GROWING = [SKEWED, LOST, row(2, 0.92, 0.5, 0.6, failed=1)]
MEASURE = "accuracy"


def drawn(rows, tmp_path):
    file = tmp_path / "not" / "yet" / "there" / "evolution.png"
    draw_evolution("pets", rows, file)
    with Image.open(file) as image:
        assert (image.format, image.size) == ("PNG", (1200, 720))
        return np.asarray(image.convert("RGB")).astype(int)


def line(figure, label):
    (found,) = [one for one in figure.axes[0].lines if str(one.get_label()).startswith(label)]
    return list(zip(*found.get_data(), strict=True))


def points(figure, label):
    """What is scattered under `label`."""
    found = [one for one in figure.axes[0].collections if str(one.get_label()).startswith(label)]
    return [tuple(map(float, point)) for one in found for point in one.get_offsets()]


def legend(figure):
    return [text.get_text() for one in figure.legends for text in one.get_texts()]


def test_the_picture_shows_the_best_and_the_median_of_each_generation_with_a_success():
    figure = evolution_figure("pets", GROWING, MEASURE)
    assert line(figure, "best") == [(0, 0.9), (2, 0.92)]
    assert line(figure, "median") == [(0, 0.9), (2, 0.6)]
    assert "0.9200" in [text.get_text() for text in figure.axes[0].texts]


def test_the_band_holds_the_middle_half_and_never_reaches_above_the_best():
    assert SKEWED.mean + SKEWED.deviation > SKEWED.best
    figure = evolution_figure("pets", GROWING, MEASURE)
    (band,) = [one for one in figure.axes[0].collections if str(one.get_label()).startswith("middle half")]
    corners = {(float(x), round(float(y), 6)) for path in band.get_paths() for x, y in path.vertices}
    assert corners == {(0, 0.1), (0, 0.9), (2, 0.55), (2, 0.76)}


def test_every_candidate_is_a_dot_beside_its_generation():
    dots = points(evolution_figure("pets", GROWING, MEASURE), "candidates")
    assert sorted((round(x), y) for x, y in dots) == [
        *((0, y) for y in (0.1, 0.1, 0.9, 0.9, 0.9)),
        *((2, y) for y in (0.5, 0.6, 0.92)),
    ]
    assert len({x for x, _ in dots}) == len(dots)


def test_where_some_were_dropped_at_a_rung_the_legend_says_of_how_many_the_picture_is():
    members = tuple(range(6))
    first, second = (
        replace(row(0, 0.5, 0.6), members=members),
        replace(row(1, 0.7, 0.8, 0.9), members=members),
    )
    told = legend(evolution_figure("pets", [first, second], MEASURE, halved=True))
    assert "last rung only (2 to 3 of 6)" in told
    assert "candidates" not in told
    assert "last rung only (2 of 6)" in legend(evolution_figure("pets", [first], MEASURE, halved=True))


def test_failed_candidates_are_crosses_below_all_others_and_counted_in_the_legend():
    figure = evolution_figure("pets", GROWING, MEASURE)
    crosses = points(figure, "failed")
    assert sorted(round(x) for x, _ in crosses) == [1, 1, 1, 2]
    assert all(y < 0.1 for _, y in crosses)
    assert "failed (4), without fitness" in legend(figure)
    assert not any("failed" in text for text in legend(evolution_figure("pets", [SKEWED], MEASURE)))


def test_the_axes_say_what_fitness_is_and_count_in_whole_generations():
    axes = evolution_figure("pets", [SKEWED], "f1").axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("generation", "validation F1")
    low, high = axes.get_xlim()
    assert [float(tick) for tick in axes.get_xticks() if low < tick < high] == [0.0]


def test_of_a_group_each_seeds_best_is_a_line_and_so_is_their_median():
    members = {
        "pets/seed-0": [row(0, 0.5), row(1, 0.7)],
        "pets/seed-1": [row(0, 0.6), row(1, 0.9)],
        "pets/seed-10": [row(0, 0.1), LOST, row(2, 0.8)],
    }
    figure = group_figure("pets", members, MEASURE)
    assert line(figure, "seed-10") == [(0, 0.1), (2, 0.8)]
    assert line(figure, "seed-0") == [(0, 0.5), (1, 0.7)]
    assert line(figure, "median") == [(0, 0.5), (1, pytest.approx(0.8)), (2, 0.8)]
    assert legend(figure) == ["seed-0", "seed-1", "seed-10", "median of the bests, at last 0.8000"]


def test_of_a_group_of_many_seeds_the_legend_stays_short():
    members = {f"pets/seed-{seed}": [row(0, 0.5), row(1, 0.7)] for seed in range(MOST_NAMED + 1)}
    figure = group_figure("pets", members, MEASURE)
    assert len(figure.axes[0].lines) == len(members) + 1
    assert legend(figure) == ["best of each", "median of the bests, at last 0.7000"]


@pytest.mark.parametrize("rows", [[], [LOST], [SKEWED], GROWING], ids=["none", "all failed", "one", "three"])
def test_however_few_generations_there_are_a_picture_is_drawn(tmp_path, rows):
    assert drawn(rows, tmp_path).std() > 5
    draw_group("pets", {"pets/_seed": rows, "pets/seed-1": []}, tmp_path / "group.png")
    assert (tmp_path / "group.png").stat().st_size > 1000


def test_a_picture_is_drawn_again_over_the_old_one(tmp_path):
    before = drawn([SKEWED], tmp_path)
    assert (drawn(GROWING, tmp_path) != before).any()
