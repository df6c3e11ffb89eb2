"""`status` and `results` as a user types them."""

import csv
import io
import json

import pytest

from tests.finished_search import EVALUATIONS

KEYS = [
    *("number", "generation", "origin", "parents", "operators", "chromosome", "status", "fitness", "failure"),
    *("parameters", "flops", "seconds", "worker", "attempts", "reasons", "cached"),
]
DESIGNED = {
    *("number", "generation", "origin", "parents", "chromosome", "status", "fitness", "parameters"),
    *("flops", "seconds", "worker", "attempts", "cached"),
}


def document(read, *arguments):
    ended = read(*arguments)
    assert (ended.status, ended.err) == (0, "")
    return json.loads(ended.out)


def test_status_of_a_search_as_json_has_the_keys_that_scripts_rely_on(read_finished):
    found = document(read_finished, "status", "tiny", "--json")
    assert set(found) == {
        *("name", "state", "generation", "generations", "evaluations", "best", "seconds"),
        *("estimated_seconds_left", "message", "environment"),
    }
    assert set(found["evaluations"]) == {"done", "running", "failed", "total"}
    assert set(found["best"]) == {"number", "chromosome", "fitness"}
    assert (found["name"], found["state"], found["generation"], found["generations"]) == (
        "tiny",
        "done",
        1,
        2,
    )
    assert found["evaluations"] == {"done": EVALUATIONS, "running": 0, "failed": {}, "total": EVALUATIONS}
    assert found["seconds"] > 0
    assert found["estimated_seconds_left"] == 0
    assert found["environment"]["device"] == "cpu"


def test_status_of_a_search_for_a_person(read_finished):
    best = document(read_finished, "status", "tiny", "--json")["best"]
    ended = read_finished("status", "tiny")
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[:3] == [
        "tiny: done",
        "  generation   1 (0 to 1)",
        f"  evaluations  {EVALUATIONS} done, 0 running, failed: none; {EVALUATIONS} in all",
    ]
    assert (
        lines[4] == f"  best         {best['fitness']:.4f}, candidate {best['number']}: {best['chromosome']}"
    )


def test_status_of_all_searches(read_finished):
    heading, row = read_finished("status").out.splitlines()
    assert heading.split() == ["search", "state", "generation", "evaluations", "failed", "best", "elapsed"]
    assert row.split()[:6] == ["tiny", "done", "1", "(0", "to", "1)"]
    assert document(read_finished, "status", "--json") == [
        document(read_finished, "status", "tiny", "--json")
    ]


def test_results_as_json_have_the_keys_that_scripts_rely_on_by_number(read_finished):
    rows = document(read_finished, "results", "tiny", "--format", "json")
    assert set(KEYS) >= DESIGNED
    assert [list(row) for row in rows] == [[*KEYS, "curve"]] * EVALUATIONS
    assert [row["number"] for row in rows] == list(range(EVALUATIONS))
    assert [row["origin"] for row in rows] == ["initial"] * 4 + ["crossover"] * 2 + ["immigrant"]
    assert [len(row["parents"]) for row in rows] == [0] * 4 + [2] * 2 + [0]
    for row in rows:
        assert row["status"] == "done"
        assert 0 < row["fitness"] < 1
        assert row["parameters"] > 0
        assert row["flops"] > 0
        assert (row["seconds"], row["attempts"]) == (0, 0) if row["cached"] else row["seconds"] > 0
        assert [accuracy for _, accuracy in row["curve"]] == ([] if row["cached"] else [row["fitness"]])


def test_results_as_csv_read_back_as_the_same(read_finished):
    ended = read_finished("results", "tiny", "--format", "csv")
    assert (ended.status, ended.err) == (0, "")
    read = list(csv.DictReader(io.StringIO(ended.out)))
    rows = document(read_finished, "results", "tiny", "--format", "json")
    assert list(read[0]) == KEYS
    for text, row in zip(read, rows, strict=True):
        for key in KEYS:
            value = row[key]
            if isinstance(value, list):
                assert text[key] == "; ".join(map(str, value))
            else:
                assert text[key] == ("" if value is None else str(value))
        assert float(text["fitness"]) == row["fitness"]


def test_results_as_a_table_have_one_line_per_chromosome(read_finished):
    ended = read_finished("results", "tiny")
    heading, *lines = ended.out.splitlines()
    assert heading.split()[:4] == ["no.", "gen.", "origin", "parents"]
    rows = document(read_finished, "results", "tiny", "--format", "json")
    for line, row in zip(lines, rows, strict=True):
        assert line.split()[0] == str(row["number"])
        assert line.rstrip().endswith(row["chromosome"])
        assert f" {row['fitness']:.4f} " in line


@pytest.mark.parametrize("form", ["json", "csv", "table"])
def test_top_keeps_the_best_in_order(read_finished, form):
    rows = document(read_finished, "results", "tiny", "--format", "json")
    ranked = sorted(rows, key=lambda row: (-row["fitness"], row["number"]))
    wanted = [str(row["number"]) for row in ranked[:3]]
    text = read_finished("results", "tiny", "--top", "3", "--format", form).out
    match form:
        case "json":
            found = [str(row["number"]) for row in json.loads(text)]
        case "csv":
            found = [row["number"] for row in csv.DictReader(io.StringIO(text))]
        case _:
            found = [line.split()[0] for line in text.splitlines()[1:]]
    assert found == wanted


@pytest.mark.parametrize(
    "arguments", [("status",), ("status", "tiny"), ("results", "tiny"), ("resume", "tiny")]
)
def test_where_no_search_was_ever_begun_readers_say_so_and_make_nothing(refused, tmp_path, arguments):
    assert refused(*arguments) == (
        f"there is no journal at {tmp_path / 'runs' / 'journal.db'}; start a search first, or say where it lies "
        "with EVOSEARCH_HOME or --storage"
    )
    assert not (tmp_path / "runs").exists()
