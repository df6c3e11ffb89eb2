"""The tables of `docs/benchmarks.md` were made by a whole run."""

import re
from pathlib import Path

import pytest

from evosearch.bench.cell_search import CONTENDERS, OURS
from evosearch.bench.cells import DATA_SETS
from evosearch.bench.luck import SYNTHETIC, WAYS

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"

PROMISED = (
    "overhead per candidate, trainings of 1 s, 32 slots | evosearch, Ray actors",
    "from the death of a worker to its evaluation on another one | evosearch, Ray actors",
    "slots busy: 8 slots, 1 search",
    "slots busy: 40 slots, 4 seeds",
    "growth of the driver's memory per 1,000 evaluations",
)


def table(name):
    found = re.search(f"<!-- {name} -->\n(.*?)<!-- end of {name} -->", PAGE.read_text(), re.DOTALL)
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in found[1].splitlines() if "|" in line]


@pytest.mark.parametrize("promise", PROMISED)
def test_every_promise_of_the_scheduler_stands_there_with_its_verdict(promise):
    what, _, contender = promise.partition(" | ")
    (row,) = (row for row in table("scheduler") if row[0].startswith(what) and contender in row[3])
    assert re.fullmatch(r"(at most|at least) .+: (holds|MISSED)", row[2])


def test_each_number_of_slots_was_measured_for_each_contender():
    rows = [row for row in table("scheduler") if row[0].startswith("overhead per candidate")]
    slots = {row[0] for row in rows}
    contenders = {row[3] for row in rows}
    assert len(contenders) == 5
    assert len(slots) == 4
    assert len(rows) == len(slots) * len(contenders)
    assert not [row for row in rows if row[1].startswith("not measured")]


def test_every_contender_was_tried_on_every_data_set_and_held_against_ours():
    assert re.search(
        "<!-- strategies -->\nevosearch .*, 15,625 cells, 300 repeats, seed 0\n", PAGE.read_text()
    )
    rows = [row for row in table("strategies") if row[0] in DATA_SETS]
    regrets = [(name, one) for name in DATA_SETS for one in (*CONTENDERS, "the fitness's own best")]
    differences = [(name, one) for name in DATA_SETS for one in CONTENDERS if one != OURS]
    assert [tuple(row[:2]) for row in rows] == regrets + differences
    assert {len(row) for row in rows} == {8}


def test_every_way_to_look_again_was_tried_on_every_data_set_with_every_noise():
    rows = [tuple(row[:3]) for row in table("luck") if row[0] in DATA_SETS]
    assert rows == [(name, noise, way) for name in DATA_SETS for noise in ("0.5", "1.5") for way in WAYS]
    assert [row[2] for row in table("luck") if row[0] == SYNTHETIC] == [*WAYS]


def test_every_promise_of_a_drivers_step_stands_there_with_its_verdict():
    verdicts = [row[2] for row in table("steps")[2:] if row[2]]
    assert len(verdicts) == 6
    assert all(re.fullmatch(r"(at most|at least) .+: (holds|MISSED)", verdict) for verdict in verdicts)
