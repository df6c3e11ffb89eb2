"""Every evaluated chromosome as JSON, CSV and a table."""

import csv
import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from evosearch.evaluation import Origin
from evosearch.reports import (
    MemberEvaluation,
    best_first,
    only_best,
    results_csv,
    results_document,
    results_table,
)
from evosearch.reports.results import HEADINGS
from tests.reports.rows import DONE, FAILED, RECALLED, WAITING

ROWS = (DONE, FAILED, RECALLED, WAITING)


GROUPED = (MemberEvaluation.of("pets/seed-1", DONE), MemberEvaluation.of("pets/seed-2", FAILED))


def table(rows, **options):
    text = io.StringIO()
    Console(file=text, width=200).print(results_table(rows, **options))
    return text.getvalue().splitlines()


def test_as_json_operators_are_told_as_data_too():
    grown = {"kind": "grown", "before": 1, "length": 2, "reference": 17, "origin": 3}
    (told,) = results_document([replace(DONE, operations=({"kind": "copied"}, grown))])
    assert told["operations"] == [{"kind": "copied"}, grown]


def test_as_json_every_key_is_there_also_where_nothing_is_known():
    done, failed, recalled, waiting = json.loads(json.dumps(results_document(ROWS), allow_nan=False))
    assert done == {
        "number": 7,
        "generation": 1,
        "origin": "crossover",
        "parents": [2, 3],
        "operators": ["head crossover", "shrink by 2"],
        "chromosome": "C8 P | F5",
        "status": "done",
        "fitness": 0.875,
        "failure": None,
        "parameters": 12345,
        "flops": 67890123,
        "seconds": 3.25,
        "worker": "node-cpu-1",
        "attempts": 2,
        "reasons": ["attempt 1 on node-cpu-2: crashed: killed"],
        "cached": False,
        "candidate": 7,
        "repeat": 0,
        "until": 0,
        "accuracy": None,
        "balanced_accuracy": None,
        "f1": None,
        "auroc": None,
        "operations": None,
        "curve": [],
        "epochs": [],
    }
    assert list(failed) == list(recalled) == list(waiting) == list(done)
    assert (failed["fitness"], failed["failure"], failed["parents"]) == (None, "diverged", [])
    assert (recalled["cached"], recalled["seconds"]) == (True, 0.0)


def test_as_csv_lists_are_joined_and_the_unknown_is_empty():
    commas = replace(DONE, reasons=('a "quoted", and\nbroken text',))
    first, second = csv.DictReader(io.StringIO(results_csv((commas, WAITING))))
    assert first["parents"] == "2; 3"
    assert first["operators"] == "head crossover; shrink by 2"
    assert first["reasons"] == r'a "quoted", and\nbroken text'
    assert (second["fitness"], second["worker"], second["failure"]) == ("", "", "")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\uff1d1", "'\uff1d1"),
        ("\t=1", r"\t=1"),
        ("\r=1", r"\r=1"),
        ("a=1", "a=1"),
    ],
)
def test_as_csv_no_text_is_a_formula(text, cell):
    (row,) = csv.DictReader(io.StringIO(results_csv([replace(DONE, worker=text)])))
    assert row["worker"] == cell


def test_as_csv_numbers_stay_numbers_negative_ones_too():
    odd = replace(DONE, fitness=-0.25, seconds=-1e-3, parameters=-1)
    (row,) = csv.DictReader(io.StringIO(results_csv([odd])))
    assert [row[name] for name in ("fitness", "seconds", "parameters")] == ["-0.25", "-0.001", "-1"]


def test_as_csv_no_row_is_a_header():
    assert results_csv(()).count("\n") == 1


def test_as_a_table_a_verdict_stands_where_there_is_no_fitness():
    heading, done, failed, recalled, waiting = table(ROWS)
    assert heading.split() == [
        *("no.", "gen.", "origin", "parents", "fitness", "parameters", "MFLOPs", "seconds", "worker"),
        "chromosome",
    ]
    assert done.split()[:9] == [
        *("7", "1", "crossover", "2+3", "0.8750", "12,345", "67.9", "3.2", "node-cpu-1"),
    ]
    assert failed.split()[2:4] == ["immigrant", "diverged"]
    assert recalled.split()[7] == "recalled"
    assert waiting.split()[4] == "waiting"


def test_the_best_come_first_and_equals_by_number_and_the_unknown_last():
    better = replace(DONE, number=11, fitness=0.9)
    worst = replace(DONE, number=12, fitness=0.0)
    ranked = best_first((WAITING, worst, RECALLED, DONE, FAILED, better))
    assert [row.number for row in ranked] == [11, 7, 9, 12, 8, 10]


def test_of_a_group_every_row_says_which_search_it_is_of():
    first, second = results_document(GROUPED, grouped=True)
    (alone,) = results_document((DONE,))
    assert first == {"search": "pets/seed-1"} | alone
    assert next(iter(first)) == next(iter(second)) == "search"
    assert second["search"] == "pets/seed-2"
    lines = results_csv(GROUPED, grouped=True).splitlines()
    header, row, _ = (line.partition(",") for line in lines)
    assert (header[0], row[0]) == ("search", "pets/seed-1")
    assert [header[2], row[2]] == results_csv((DONE,)).splitlines()
    heading, *rows = table(GROUPED, grouped=True)
    assert heading.split()[:2] == ["search", "no."]
    assert [row.split()[:2] for row in rows] == [["pets/seed-1", "7"], ["pets/seed-2", "8"]]


def test_a_group_without_a_candidate_has_its_header_too():
    assert results_csv((), grouped=True).startswith("search,number,")
    assert table((), grouped=True)[0].split()[0] == "search"


LUCKY = replace(DONE, number=4, candidate=4, fitness=0.5)
SURE = replace(DONE, number=5, candidate=5, fitness=0.75)
AGAIN = (
    replace(LUCKY, number=13, repeat=1, fitness=0.25),
    replace(LUCKY, number=15, repeat=2, fitness=0.9),
    replace(SURE, number=16, repeat=1, fitness=0.7),
)


def test_a_further_training_says_whose_it_is_and_the_first_has_the_mean_of_all():
    heading, *rows = table((LUCKY, SURE, *AGAIN))
    assert heading.split()[4:6] == ["fitness", "mean"]
    assert [" ".join(row.split()[:9]) for row in rows] == [
        "4 1 crossover 2+3 0.5000 0.5500 of 3 12,345",
        "5 1 crossover 2+3 0.7500 0.7250 of 2 12,345",
        "13 1 again 4 (2nd) 2+3 0.2500 12,345 67.9",
        "15 1 again 4 (3rd) 2+3 0.9000 12,345 67.9",
        "16 1 again 5 (2nd) 2+3 0.7000 12,345 67.9",
    ]


def test_the_best_are_those_of_the_best_scores_with_their_further_trainings_below():
    rows = (LUCKY, *AGAIN, SURE)
    assert [row.number for row in best_first(rows)] == [5, 16, 4, 13, 15]
    assert [row.number for row in only_best(rows, 1)] == [5, 16]
    assert [row.number for row in only_best(rows, 1, leads=4)] == [4, 13, 15]
    grouped = [MemberEvaluation.of(search, row) for row in rows for search in ("a", "b")]
    assert [row.search + str(row.number) for row in only_best(grouped, 1)] == ["a5", "a16"]


def test_each_training_of_a_list_has_a_place_of_its_own():
    listed = [replace(LUCKY, number=place, repeat=place + 1, origin=Origin.LISTED) for place in range(2)]
    assert "again" not in " ".join(table(listed))
    assert [row.number for row in only_best(listed, 1)] == [0]


def test_equals_of_a_group_keep_the_order_of_the_members():
    rows = [MemberEvaluation.of(search, DONE) for search in ("b", "a")]
    assert [row.search for row in best_first(rows)] == ["b", "a"]


def test_as_json_the_curve_has_names_too():
    (row,) = results_document([replace(DONE, curve=((0.75, 0.5), (0.25, 0.875)))])
    assert row["curve"] == [[0.75, 0.5], [0.25, 0.875]]
    assert row["epochs"] == [
        {"epoch": 1, "loss": 0.75, "accuracy": 0.5},
        {"epoch": 2, "loss": 0.25, "accuracy": 0.875},
    ]


def test_as_json_an_epoch_has_its_validation_loss_where_it_is_known():
    known = replace(DONE, curve=((0.75, 0.5), (0.25, None)), validation_losses=(0.5, None))
    (row,) = json.loads(json.dumps(results_document([known]), allow_nan=False))
    assert row["curve"] == [[0.75, 0.5], [0.25, None]]
    assert row["epochs"] == [
        {"epoch": 1, "loss": 0.75, "accuracy": 0.5, "validation_loss": 0.5},
        {"epoch": 2, "loss": 0.25, "accuracy": None},
    ]


@pytest.mark.parametrize("width", [60, 80, 100, 120])
@pytest.mark.parametrize("grouped", [False, True])
def test_on_a_terminal_no_line_is_wider_and_no_gene_is_torn(width, grouped):
    long = replace(DONE, chromosome="C128 B256 P " * 12 + "| F4096 F4096")
    rows = [MemberEvaluation.of("covid_ct_small/seed-0", long)] if grouped else [long]
    text = io.StringIO()
    Console(file=text, width=width).print(results_table(rows, grouped=grouped, width=width))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    missing = [heading for heading in HEADINGS if heading not in lines[0]]
    told = f"left out at this width: {', '.join(missing)}; --format csv has all"
    assert (told in " ".join(text.getvalue().split())) == bool(missing)
    assert "\u2026" not in text.getvalue()  # nothing is cut
    words = text.getvalue().split()
    assert [words.count(gene) for gene in ("C128", "B256", "P", "F4096")] == [12, 12, 12, 2]
    assert "0.8750" in words
