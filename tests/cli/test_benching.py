"""`bench better`, `bench evaluate`, `bench scheduler` and `bench strategies`: options and output; what they measure is tested in tests/bench."""

import json
import os
import signal
import sys

import pytest

from evosearch.bench.scheduler import QUICK, Report, Size
from evosearch.bench.table import Measure
from evosearch.cli.benching import parse_slots
from evosearch.errors import InputError
from tests.bench.tables import written


@pytest.fixture
def asked(monkeypatch):
    """What was to be measured; nothing is."""
    sizes = []

    def measure(size, tell):
        sizes.append(size)
        tell("something")
        return Report((Measure("overhead", "evosearch", (1.0, 3.0), "%", at_most=2.0),), size.quick)

    monkeypatch.setattr("evosearch.bench.scheduler.measure_scheduler", measure)
    return sizes


def test_without_options_everything_is_measured_and_a_table_printed(command, asked):
    ended = command("bench", "scheduler")
    assert (ended.status, asked) == (0, [Size()])
    assert ended.err == "something\n"
    heading, empty, *table = ended.out.splitlines()
    assert heading.startswith("evosearch ")
    assert heading.endswith(" cores")
    assert empty == ""
    assert table[-1] == "| overhead | 2 % (1 to 3) | at most 2 %: holds | evosearch |"


def test_json_is_one_document_and_nothing_else(command, asked):
    ended = command("bench", "scheduler", "--json", "--quick", "--slots", "2,4")
    document = json.loads(ended.out)
    assert {"evosearch", "ray", "python", "cores", "quick", "measures"} == set(document)
    assert document["quick"] is True  # also of other slots
    assert asked[0].track.slots == (2, 4)
    assert asked[0].evaluations == QUICK.evaluations


@pytest.mark.parametrize("slots", ["0", "65", "2,,3", "two", "-1", "2.5"])
def test_wrong_numbers_of_slots_are_refused_in_one_line(refused, slots):
    assert "is no number from 1 to 64; write for instance 2,8,32" in refused(
        "bench", "scheduler", f"--slots={slots}"
    )


def test_slots_keep_their_order():
    assert parse_slots("32,2,8") == (32, 2, 8)
    with pytest.raises(InputError):
        parse_slots("")


@pytest.mark.ray
@pytest.mark.slow
def test_a_quick_run_measures_every_contender_and_prints_one_document(command):
    ended = command("bench", "scheduler", "--json", "--quick")
    document = json.loads(ended.out)
    assert document["quick"] is True
    assert {measure["holds"] for measure in document["measures"]} == {None}
    contenders = {measure["contender"] for measure in document["measures"] if measure["rounds"]}
    assert {"evosearch, Ray actors", "evosearch, processes", "plain Ray tasks", "evosearch"} <= contenders


def test_halving_prints_a_table_or_one_document_of_a_search(read_finished):
    """Of one epoch nothing can be halved; a longer one is in tests/bench."""
    ended = read_finished("bench", "halving", "tiny")
    assert (ended.status, ended.out) == (2, "")
    assert ended.told[-1].endswith(
        "trainings of 'tiny' have 1 epoch, in which there is no place for two rungs; name a search of longer ones"
    )


def test_rungs_of_halving_are_numbers_and_workers_one_at_least(refused):
    assert "--epochs 1,x: 'x' is no number from 1 to" in refused(
        "bench", "halving", "tiny", "--epochs", "1,x"
    )
    for number, wanted in (("0", "greater than or equal to 1"), ("1.5", "a valid integer")):
        told = refused("bench", "halving", "tiny", "--workers", number)
        assert f"Invalid value for '--workers': '{number}'; it should be {wanted}" in told


def test_strategies_print_tables_or_one_document(command, tmp_path):
    table = written(tmp_path / "table.csv")
    arguments = (
        "bench",
        "strategies",
        "--table",
        table,
        "--repeats",
        2,
        "--budgets",
        "60,10,60",
        "--seed",
        4,
    )
    ended = command(*arguments)
    assert (ended.status, ended.err) == (0, "repeat 1 of 2\n")
    assert ended.out.startswith("evosearch ")
    assert "64 cells, 2 repeats, seed 4\n\n| data set | contender | fitness, 10 | fitness, 60 |" in ended.out
    document = json.loads(command(*arguments, "--json").out)
    assert (document["budgets"], document["repeats"], document["seed"]) == ([10, 60], 2, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--table", "nowhere.csv"), "--table nowhere.csv: No such file or directory; give the file of"),
        (("--table", "tiny.yaml"), "--table tiny.yaml has no column 'arch_str' but"),
        (("--table", "table.csv", "--budgets", "0"), "--budgets 0: '0' is no number from 1 to 10,000; write"),
        (("--table", "table.csv", "--budgets", "50,"), "--budgets 50,: '' is no number from 1 to 10,000"),
        (("--table", "table.csv"), "--budgets 810: --table table.csv has 64 cells; ask for no more"),
        (("--table", "table.csv", "--repeats", "1"), "--repeats 1: it must be from 2 to 10,000"),
        (("--table", "table.csv", "--seed", "-1"), "'--seed'"),
        (("--table", "table.csv", "--noise", "x"), "--noise x: 'x' is no number of percentage points; write"),
        (
            ("--table", "table.csv", "--noise", "0.5", "--budgets", "50"),
            "--budgets 50 with --noise 0.5: searches with noise have 210 evaluations each",
        ),
        (("--table", "table.csv", "--budgets", ""), "--budgets : '' is no number from 1 to 10,000"),
        (("--table", "table.csv", "--noise", "0"), "--noise 0: it must be above 0 and at most 20"),
        ((), "Missing option '--table'"),
    ],
)
def test_wrong_options_of_strategies_are_refused_in_one_line(refused, tmp_path, options, message):
    written(tmp_path / "table.csv")
    assert message in refused("bench", "strategies", *options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--size", "33"), "--size 33: images have a side of 32, 64 or 224 pixels; choose one"),
        (("--epochs", "0"), "--epochs 0: it must be from 1 to 10,000,000"),
        (("--device", "tpu"), "'--device': 'tpu' is not one of"),
        (("--device", "cuda"), "--device cuda: torch sees no GPU here; write --device cpu"),
        (("--gates",), "--gates compares accuracies on COVID-CT, which is not at hand; EVOSEARCH_DATA names"),
    ],
)
def test_wrong_options_of_evaluate_are_refused_in_one_line(refused, monkeypatch, options, message):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert message in refused("bench", "evaluate", *options)


class Found:
    """What a run of `bench evaluate` found."""

    passed = True

    def to_json(self):
        return {"ratios": {}}

    def to_markdown(self):
        return "a table\nof two lines"

    def __str__(self):
        return "+0.001"


def test_evaluate_prints_a_table_or_one_document_and_keeps_its_gate_in_the_home(
    command, monkeypatch, tmp_path
):
    asked = []

    def measure(effort, root, kept, tell):
        tell("something")
        asked.append((effort, root, kept))
        return Found()

    for name in ("measure_evaluate", "measure_gates"):
        monkeypatch.setattr(f"evosearch.bench.evaluate.{name}", measure)
    ended = command("bench", "evaluate", "--size", 64, "--epochs", 8, "--device", "cpu")
    assert (ended.status, ended.out, ended.err) == (0, "a table\nof two lines\n", "something\n")
    assert json.loads(command("bench", "evaluate", "--json").out) == {"ratios": {}}
    ended = command("bench", "evaluate", "--gates")
    assert ended.out == "bf16 less fp32, 32 pixels: +0.001: passed\n"
    (effort, root, kept), _, (_, _, gate) = asked
    assert (effort.size, effort.epochs, effort.device, root) == (64, 8, "cpu", None)
    assert gate == kept[0] == tmp_path / "runs" / "bench" / "equivalence.jsonl"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), b"evosearch: stopped; nothing was kept, begin again\n"),
        (("--gates",), b"evosearch: stopped; what has ended is kept, and the same command goes on\n"),
    ],
)
def test_what_becomes_of_an_evaluate_that_is_stopped_is_said(
    command, monkeypatch, capfdbinary, options, told, number
):
    def measure(*_):
        os.kill(os.getpid(), number)
        return Found()

    before = signal.getsignal(number)
    for name in ("measure_evaluate", "measure_gates"):
        monkeypatch.setattr(f"evosearch.bench.evaluate.{name}", measure)
    monkeypatch.setattr("os._exit", sys.exit)
    assert command("bench", "evaluate", *options).status == 75
    assert capfdbinary.readouterr().err == told
    assert signal.getsignal(number) is before


def test_better_prints_its_log_or_one_document(command, monkeypatch, tmp_path):
    asked = []

    def measure(config, home, looks, *, source, minutes, **how):
        asked.append((config.name, looks, minutes, how["executor"]))
        return Found()

    monkeypatch.setattr("evosearch.bench.better.measure_better", measure)
    ended = command("bench", "better", "tiny.yaml")
    assert (ended.status, ended.out, ended.told) == (0, "a table\nof two lines\n", [])
    options = ("--looks", "1,7.5", "--minutes", "2.5", "--name", "mine", "--executor", "ray", "--json")
    assert json.loads(command("bench", "better", "tiny.yaml", *options).out) == {"ratios": {}}
    assert asked == [
        ("tiny", (7.5, 15.0, 30.0, 60.0, 120.0, 240.0, 480.0), None, "local"),
        ("mine", (1.0, 7.5), 2.5, "ray"),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--looks", "0"), "--looks 0: '0' is no number of minutes; write for instance 7.5,15"),
        (("--looks", "5,,6"), "--looks 5,,6: '' is no number of minutes"),
        (("--looks", "2,1"), "--looks 2,1: minutes rise from look to look; write 1,2"),
        (("--looks", "5,5"), "--looks 5,5: minutes rise from look to look; write 5"),
        (("--minutes", "0"), "--minutes 0: it must be above 0 and below 1,000,000"),
        (("--minutes", "nan"), "--minutes nan: it must be above 0"),
        (("--from", "nowhere.db.xz"), "nowhere.db.xz cannot be read as a compressed journal"),
        ((), "'tiny' has no section study; give `study: {kind: baselines"),
    ],
)
def test_wrong_options_of_better_are_refused_in_one_line(refused, options, message):
    assert message in refused("bench", "better", "tiny.yaml", *options)
