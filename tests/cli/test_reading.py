"""`status` and `results` as a user types them."""

import csv
import io
import json
from statistics import fmean, stdev

import pytest

from evosearch.evaluation import FailureKind
from evosearch.testing import FailingEvaluator, Victims
from tests.cli.test_searching import Disturbed, interrupt
from tests.finished_search import EVALUATIONS, script_workers

KEYS = [
    *("number", "generation", "origin", "parents", "operators", "chromosome", "status", "fitness", "failure"),
    *("parameters", "flops", "seconds", "worker", "attempts", "reasons", "cached"),
    *("candidate", "repeat", "until", "accuracy", "balanced_accuracy", "f1", "auroc"),
]
RECALLED = 1
"""Of the finished search: one child is a copy of its parent."""
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
        *("estimated_seconds_left", "trainings", "message", "environment", "heartbeat"),
        *("parent", "retrainings", "readings", "confirmation", "precision"),
    }
    assert set(found["evaluations"]) == {"done", "running", "failed", "total", "recalled"}
    assert set(found["best"]) == {"number", "chromosome", "fitness"}
    assert (found["name"], found["state"], found["generation"], found["generations"]) == (
        "tiny",
        "done",
        1,
        2,
    )
    counts = {"done": EVALUATIONS, "running": 0, "failed": {}, "total": EVALUATIONS, "recalled": RECALLED}
    assert found["evaluations"] == counts
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
        f"  evaluations  {EVALUATIONS} done ({RECALLED} as copies of equal networks, untrained), 0 running, failed: none; "
        f"{EVALUATIONS} in all",
    ]
    assert lines[4].startswith("  precision    ")
    assert " (auto" in lines[4]
    assert (
        lines[5] == f"  best         {best['fitness']:.4f}, candidate {best['number']}: {best['chromosome']}"
    )


def test_status_of_all_searches(read_finished):
    heading, row = read_finished("status").out.splitlines()
    assert heading.split() == [
        "search",
        "state",
        "gen.",
        "done",
        "running",
        "best",
        "elapsed",
        "left",
        "failed",
    ]
    assert row.split()[:5] == ["tiny", "done", "1/1", f"{EVALUATIONS}/{EVALUATIONS}", "0"]
    assert row.endswith("  none")
    assert document(read_finished, "status", "--json") == [
        document(read_finished, "status", "tiny", "--json")
    ]


def test_results_as_json_have_the_keys_that_scripts_rely_on_by_number(read_finished):
    rows = document(read_finished, "results", "tiny", "--format", "json")
    assert set(KEYS) >= DESIGNED
    assert [list(row) for row in rows] == [[*KEYS, "operations", "curve", "epochs"]] * EVALUATIONS
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
    heading, *lines, precision = ended.out.splitlines()
    assert heading.split()[:4] == ["no.", "gen.", "origin", "parents"]
    assert precision.startswith("training.precision: ")
    rows = document(read_finished, "results", "tiny", "--format", "json")
    for line, row in zip(lines, rows, strict=True):
        assert line.split()[0] == str(row["number"])
        assert line.rstrip().endswith(row["chromosome"])
        assert f" {row['fitness']:.4f} " in line


def test_of_a_search_with_rungs_networks_are_counted_too(command, scripted):
    rungs = ("--set", "training.epochs=4", "--set", "strategy.halving={epochs: [1, 4], keep: 0.5}")
    ended = command("run", "tiny.yaml", *rungs)
    assert ended.out.startswith("tiny: done, 2 generations, 7 networks, 11 evaluations")
    assert "\n  networks     7, " in command("status", "tiny").out


def test_a_precision_that_the_file_names_is_told_too(command, scripted):
    assert command("run", "tiny.yaml", "--set", "training.precision=fp32").status == 0
    assert "\n  precision    fp32\n" in command("status", "tiny").out
    assert command("results", "tiny").out.endswith("\ntraining.precision: fp32\n")


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
            found = [line.split()[0] for line in text.splitlines()[1:-1]]
    assert found == wanted


def test_of_a_search_with_repeats_the_best_is_told_with_the_mean_of_its_trainings(command, scripted):
    again = ("strategy.population=5", "strategy.immigrants=2", "strategy.repeats=2", "strategy.generations=3")
    ended = command("run", "tiny.yaml", *(part for key in again for part in ("--set", key)))
    best = document(command, "status", "tiny", "--json")["best"]
    rows = document(command, "results", "tiny", "--format", "json")
    of_it = [row["fitness"] for row in rows if row["candidate"] == best["number"]]
    assert best["trainings"] == len(of_it) > 1
    firsts = [row for row in rows if not row["repeat"]]
    assert 0 < len(firsts) < len(rows)
    assert command("retrain", "tiny").status == 0
    confirmed = document(command, "status", "tiny", "--json")["confirmation"]
    assert confirmed["candidates"] == sum(not row["cached"] for row in firsts)
    words = f"{fmean(of_it):.4f}, mean of {len(of_it)} trainings, candidate {best['number']}"
    assert f"Best: validation accuracy {words} of generation" in ended.out
    assert f"  best         {words}: " in command("status", "tiny").out
    table = command("results", "tiny", "--top", "1").out
    assert f"best of tiny: accuracy {words}\n" in table
    assert table.splitlines()[2].split()[2:5] == ["again", str(best["number"]), "(2nd)"]


@pytest.mark.parametrize(
    "arguments", [("status",), ("status", "tiny"), ("results", "tiny"), ("resume", "tiny")]
)
def test_where_no_search_was_ever_begun_readers_say_so_and_make_nothing(refused, tmp_path, arguments):
    assert refused(*arguments) == (
        f"there is no journal at {tmp_path / 'runs' / 'journal.db'}; start a search first, or say where it is "
        "with EVOSEARCH_HOME or --storage"
    )
    assert not (tmp_path / "runs").exists()


# groups

MEMBERS = ["tiny/seed-2", "tiny/seed-10"]


@pytest.fixture
def group(command, scripted):
    """Runs commands beside a group of two and a search that does not belong to it."""
    for name in ("tiny/seed-10", "other", "tiny/seed-2"):
        assert command("run", "tiny.yaml", "--name", name, "--set", f"seed={len(name)}").status == 0
    return command


def best_of(read, *names):
    return [document(read, "status", name, "--json")["best"]["fitness"] for name in names]


def test_status_of_a_group_as_json_is_its_members_in_order_with_mean_and_deviation(group):
    best = best_of(group, *MEMBERS)
    assert document(group, "status", "tiny", "--json") == {
        "name": "tiny",
        "members": [document(group, "status", name, "--json") for name in MEMBERS],
        "mean": fmean(best),
        "deviation": stdev(best),
        "unfinished": 0,
    }


def test_status_of_a_group_for_a_person_is_a_row_a_member_and_mean_and_deviation(group):
    best = best_of(group, *MEMBERS)
    ended = group("status", "tiny")
    assert (ended.status, ended.err) == (0, "")
    heading, *rows, precision, figures = ended.out.splitlines()
    assert heading.split()[0] == "search"
    assert precision.startswith("training.precision: fp32 (auto")
    assert [row.split()[0] for row in rows] == MEMBERS
    assert figures == (f"mean ± deviation of the best: {fmean(best):.4f} ± {stdev(best):.4f} over 2 members")


def test_a_member_that_is_unfinished_is_told_with_the_figures(command, monkeypatch, api):
    script_workers(api)
    command("run", "tiny.yaml", "--name", "tiny/seed-1")
    script_workers(api, Disturbed(3, interrupt))
    command("run", "tiny.yaml", "--name", "tiny/seed-2", "--set", "seed=2")
    for reader in ("status", "results"):
        assert command(reader, "tiny").out.endswith(" over 2 members, 1 unfinished\n")
    assert document(command, "status", "tiny", "--json")["unfinished"] == 1


def test_a_group_in_which_nobody_succeeded_has_no_figures(command, monkeypatch, api):
    script_workers(api, FailingEvaluator(Victims(every=1), FailureKind.OUT_OF_MEMORY))
    command("run", "tiny.yaml", "--name", "tiny/seed-0")
    found = document(command, "status", "tiny", "--json")
    assert (found["mean"], found["deviation"], found["members"][0]["best"]) == (None, None, None)
    assert command("status", "tiny").out.endswith("no success in 1 member\n")


def test_status_of_all_searches_has_every_member_as_a_row(group):
    rows = group("status").out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["tiny/seed-10", "other", "tiny/seed-2"]


def test_a_member_is_a_search_like_any_other(group):
    assert group("status", "tiny/seed-2").out.startswith("tiny/seed-2: done\n")
    assert "search" not in document(group, "results", "tiny/seed-2", "--format", "json")[0]


def test_results_of_a_group_are_those_of_its_members_with_their_names(group):
    rows = document(group, "results", "tiny", "--format", "json")
    assert rows == [
        {"search": name} | row
        for name in MEMBERS
        for row in document(group, "results", name, "--format", "json")
    ]
    text = group("results", "tiny", "--format", "csv").out
    assert [(row["search"], int(row["number"])) for row in csv.DictReader(io.StringIO(text))] == [
        (row["search"], row["number"]) for row in rows
    ]


def test_results_of_a_group_as_a_table_end_with_mean_and_deviation(group):
    heading, *lines, _, figures = group("results", "tiny").out.splitlines()
    assert heading.split()[:2] == ["search", "no."]
    assert [line.split()[0] for line in lines] == [name for name in MEMBERS for _ in range(EVALUATIONS)]
    assert figures == group("status", "tiny").out.splitlines()[-1]


def test_top_of_a_group_is_taken_over_all_its_members_and_leaves_the_figures_alone(group):
    rows = document(group, "results", "tiny", "--format", "json")
    best = sorted((row["fitness"] for row in rows), reverse=True)[:3]
    top = document(group, "results", "tiny", "--format", "json", "--top", "3")
    assert [row["fitness"] for row in top] == best
    figures = [group("results", "tiny", *more).out.splitlines()[-1] for more in ((), ("--top", "1"))]
    assert figures[0] == figures[1]


@pytest.mark.parametrize("reader", ["status", "results"])
def test_an_unknown_name_is_answered_with_the_groups_or_the_members_there_are(group, refused, reader):
    assert refused(reader, "tinny").endswith("; it holds other, tiny")
    assert refused(reader, "tiny/seed-3").endswith("; it holds tiny/seed-2, tiny/seed-10")


@pytest.mark.parametrize("form", ["table", "csv"])
def test_breeding_again_for_a_form_that_does_not_show_it_is_refused(refused, form):
    assert refused("results", "tiny", "--format", form, "--breed-again") == (
        f"--breed-again changes nothing of --format {form}; add --format json, or leave it out"
    )
