"""Every command beside words of strangers: names, classes, files, workers and messages that mean to command the terminal."""

import csv
import io
import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from evosearch.cli.output import PrintableLog
from evosearch.cli.panel import panel
from evosearch.cli.progress import Display
from evosearch.cli.tally import Tallies
from evosearch.evaluation import Failure, FailureKind
from evosearch.printable import printable
from evosearch.reports import draw_evolution
from evosearch.runtime import evolve, replay
from evosearch.runtime.pool import Worker, WorkerJoined
from evosearch.storage import Born, Failed
from evosearch.testing import RaisingEvaluator, ScriptedPool, Victims
from tests.finished_search import TINY
from tests.runtime.small_search import make_plan
from workers import job_client

EVIL = "\x1b]0;owned\x07\x9b2J\u202egnp\u2066\r\n\u2028\x7f[link=x][/] \x85"
SHOWN = printable(EVIL)
CLASS = EVIL.replace("/", "")  # a folder may have all of it but this


def harmless(text: str) -> bool:
    """Lines of letters, and nothing that a terminal obeys."""
    return all(c.isprintable() or c == "\n" for c in text)


class HostilePool(ScriptedPool):
    """Its workers have such names."""

    def _join(self, device: str) -> None:
        worker = Worker(f"{EVIL}-{next(self._serials)}", device)
        self._alive[worker] = 0
        self._news.append(WorkerJoined(worker))


@pytest.fixture
def hostile(command, write_pictures, monkeypatch, tmp_path, api):
    """A finished search on two classes of such names, by such workers, which failed once with such messages; it is
    `command`, which checks what it prints.
    """
    struck = tmp_path / "struck"
    struck.mkdir()
    fails_once = RaisingEvaluator(Victims(every=1, once_in=str(struck)), RuntimeError(f"{EVIL}=HYPERLINK(1)"))
    api.give(make_pool=lambda *_: HostilePool(fails_once))
    write_pictures(f"{CLASS}cat", "dog")

    def run(*arguments):
        ended = command(*arguments)
        assert harmless(ended.out), ended.out
        assert harmless(ended.err), ended.err
        return ended

    assert run("run", "pictures.yaml", "--name", "pets").status == 0
    return run


def rewrite(statement: str, **values: object) -> None:
    """As whoever sends a journal may."""
    with sqlite3.connect("runs/journal.db") as journal:
        journal.execute(statement, values)
    journal.close()


def test_the_progress_of_a_search_and_its_result(hostile, tmp_path):
    shutil.rmtree(tmp_path / "struck")
    (tmp_path / "struck").mkdir()
    ended = hostile("run", "pictures.yaml", "--name", "again")
    told = ended.told
    assert any(
        line.startswith("#0 failed on") and f"RuntimeError: {SHOWN}=HYPERLINK(1); will be" in line
        for line in told
    )
    assert sum(f" on {SHOWN}-" in line for line in told) >= 7
    assert ended.out.startswith("again: done, 2 generations")


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_a_reading_of_the_test_split(hostile, arguments):
    ended = hostile("retrain", "pets", *arguments)
    assert ended.status == 0
    if arguments:
        assert f"{CLASS}cat" in json.loads(ended.out)["classes"]
    else:
        assert f"{printable(CLASS)}cat" in ended.out


def test_what_the_data_are_with_classes_and_bad_files_of_such_names(hostile):
    class_folder = next(Path("data/pictures").glob("*cat"))
    shutil.copy(class_folder / "0.png", Path("data/pictures/dog") / f"{CLASS}.png")
    hostile("validate", "pictures.yaml")
    listed = hostile("data", "pictures.yaml")
    assert listed.status == 0
    assert f"{printable(CLASS)}.png" in listed.out
    bad = Path(os.fsdecode(b"data/pictures/dog/caf\xe9\x1b[2J.png"))
    bad.write_bytes(b"no image")
    for form in ((), ("--json",)):
        ended = hostile("data", "pictures.yaml", *form)
        assert (ended.status, r"caf\udce9\x1b[2J.png" in ended.out.replace("\\\\", "\\")) == (2, True)
        ended.out.encode()  # also what is not UTF-8 can be written
    assert hostile("validate", "pictures.yaml").status == 2


@pytest.fixture
def forged(hostile):
    """That search, in a journal whose every text was rewritten; returns `command` and the search's new name."""
    rewrite(
        "UPDATE searches SET name = :name, message = :evil, state = 'failed'", name=f"{EVIL}/pets", evil=EVIL
    )
    rewrite("UPDATE evaluations SET chromosome = :evil, worker = :evil", evil=EVIL)
    rewrite(
        "UPDATE evaluations SET fitness = NULL, failure = :evil, status = 'failed' WHERE number = 0",
        evil=EVIL,
    )
    rewrite("UPDATE evaluations SET worker = '=1+1', chromosome = '@x', fitness = -0.5 WHERE number = 1")
    rewrite("UPDATE reasons SET reason = :evil", evil=EVIL)
    return hostile, f"{EVIL}/pets"


def test_status_of_a_forged_journal(forged):
    run, name = forged
    for arguments in ((), (name,), (EVIL,)):
        ended = run("status", *arguments)
        assert (ended.status, ended.err) == (0, "")
        assert SHOWN in ended.out
        document = json.loads(run("status", *arguments, "--json").out)
        assert json.dumps(EVIL)[1:-1] in json.dumps(document)


def test_results_of_a_forged_journal(forged):
    run, name = forged
    for arguments in ((name,), (EVIL,)):
        for form in ("table", "csv"):
            ended = run("results", *arguments, "--format", form)
            assert (ended.status, ended.err) == (0, "")
            assert SHOWN in ended.out
        rows = json.loads(run("results", *arguments, "--format", "json").out)
        assert {row["worker"] for row in rows} == {EVIL, "=1+1"}


def test_a_spreadsheet_takes_no_text_for_a_formula_and_numbers_stay_numbers(forged):
    run, name = forged
    rows = list(csv.DictReader(io.StringIO(run("results", name, "--format", "csv").out)))
    assert (rows[1]["worker"], rows[1]["chromosome"], rows[1]["fitness"]) == ("'=1+1", "'@x", "-0.5")
    assert len(rows) == 7


def test_a_command_that_takes_a_forged_search_ends_in_one_line(forged):
    run, name = forged
    for verb in ("resume", "retrain"):
        ended = run(verb, name)
        assert (ended.status, ended.out) == (2, "")
        assert len(ended.told) == 1


def test_a_name_that_is_nowhere_and_an_option_that_is_none(hostile):
    for arguments in (
        ("status", EVIL),
        ("results", EVIL),
        ("explain", "search", EVIL),
        ("run", EVIL),
        (EVIL,),
        ("status", f"--{EVIL}"),
    ):
        ended = hostile(*arguments)
        assert (ended.status, ended.out) == (2, ""), arguments
        assert len(ended.err.splitlines()) == 1


def test_submit_and_the_log_of_the_job(command, monkeypatch):
    class Cluster:
        address = f"http://head{EVIL}"

        def submit(self, *_):
            return f"job{EVIL}"

        def follow(self, job, write):
            write(f"its log: {EVIL}")
            return 0

    monkeypatch.setattr(job_client, "JobClient", lambda _: Cluster())
    Path("tiny.yaml").write_text(TINY)
    ended = command("submit", "tiny.yaml", "--wait")
    assert ended.status == 0
    assert harmless(ended.out + ended.err)
    assert f"its log: {SHOWN}\n" in ended.err


def searches_that_run(*names):
    """Of such names, with a worker of such a name."""
    tallies = Tallies(lambda: 0.0)
    for name in names:
        plan = make_plan(name=name)
        state = replay(plan, ())
        (first, *_) = plan.strategy.ask(state.search)
        state = evolve(plan, state, Born.of(first, None, None))
        tallies.begin(plan, replace(state, running={EVIL: first.id}))
    return tallies


@pytest.mark.parametrize("names", [(EVIL,), (f"{CLASS}/{CLASS}1", f"{CLASS}/{CLASS}2")], ids=["one", "group"])
def test_the_panel_on_a_terminal(names):
    drawn = StringIO()
    tallies = searches_that_run(*names)
    Console(file=drawn, width=400, emoji=False).print(panel(tallies))
    assert harmless(drawn.getvalue())
    assert drawn.getvalue().count(SHOWN) >= len(names)  # the workers
    assert all(printable(name.rpartition("/")[2]) in drawn.getvalue() for name in names)


def test_what_scrolls_by_above_the_panel():
    drawn = StringIO()
    display = Display(Console(file=drawn, width=4000, emoji=False))
    (tally,) = searches_that_run("small").by_name.values()
    display.begin(tally.plan, tally.state)
    display.note(f"note {EVIL}")
    failed = Failed(0, 1, EVIL, Failure(FailureKind.CRASHED, EVIL), final=False)
    display.observe(tally.plan, tally.state, [failed])
    display.close()
    assert harmless(drawn.getvalue())
    assert f"note {SHOWN}\n" in drawn.getvalue()
    assert f"#0 failed on {SHOWN}, attempt 1: crashed: {SHOWN};" in drawn.getvalue()


def test_the_picture_of_a_search_of_any_name(tmp_path):
    draw_evolution(
        f"{EVIL} $\\frac{{1}}$", (), tmp_path / "curve.png"
    )  # a warning of a missing glyph is an error
    assert (tmp_path / "curve.png").stat().st_size > 1000


def test_the_stack_of_a_worker_that_hangs():
    record = logging.LogRecord(
        "pool", logging.WARNING, "f", 1, "%s hangs:\n%s", (EVIL, "one\n\x1b[2Jtwo"), None
    )
    assert harmless(PrintableLog().format(record))
    assert PrintableLog().format(record).endswith(" hangs:\none\n\\x1b[2Jtwo")


def test_a_bug_of_ours_is_told_with_a_traceback_that_is_only_text(tmp_path):
    program = (
        "import sys; from evosearch import __main__, cli\n"
        f"def broken(*_): raise ValueError({EVIL!r})\n"
        "cli.main = broken\n"
        "__main__.main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Traceback (most recent call last):\n")
    assert harmless(ended.stderr)
    assert r"ValueError: \x1b]0;owned\x07\x9b2J" in ended.stderr
