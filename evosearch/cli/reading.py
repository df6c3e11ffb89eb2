"""`status` and `results`: the commands that only read a journal."""

import socket
import sys
import time
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from evosearch.cli import completing
from evosearch.cli.opening import opened
from evosearch.cli.options import JSON, SEARCH_OR_GROUP, STORAGE
from evosearch.cli.output import print_json, say, say_lines, say_table, terminal_width
from evosearch.cli.remote import SERVER, run_on_head
from evosearch.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evosearch.reports import SearchSnapshot
    from evosearch.storage import EvaluationRow, Home, SearchRow, TestReading
    from evosearch.study import Study

FORMAT = Annotated[
    Literal["table", "csv", "json", "markdown"],
    typer.Option("--format", help="How to print them; markdown: of a study alone."),
]
BREED_AGAIN = Annotated[
    bool,
    typer.Option(
        "--breed-again",
        help="As JSON: what operators did as data also where an older version kept words only; reads the images.",
    ),
]
TOP = Annotated[int | None, typer.Option("--top", metavar="N", min=1, help="Only the N best.")]


def status(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="A search or a group. Default: all searches.",
            autocompletion=completing.searches_and_groups,
        ),
    ] = None,
    as_json: JSON = False,
    storage: STORAGE = None,
    address: SERVER = None,
) -> None:
    """How far searches are: evaluations, best, estimated end.

    Of a group also the mean ± deviation of its members' best.
    """
    from evosearch.reports import SearchSnapshot
    from evosearch.studying import is_study, open_study

    if address is not None:
        run_on_head(address, "status", name, {"--json": as_json, "--storage": storage})
    with opened(storage, reads=True) as home:
        members = () if name is None else home.members_of(name)
        rows = _on_their_own(home) if name is None else members or (home.find_search(name),)
        snapshots = [SearchSnapshot.of(home, row, socket.gethostname(), time.time()) for row in rows]
        if name is not None and is_study(name, home):
            _print_study(open_study(name, home), snapshots, as_json)
            return
    if name is None:
        _print_all(snapshots, as_json)
    elif members:
        _print_group(name, snapshots, as_json)
    else:
        _print_search(snapshots[0], as_json)


def _on_their_own(home: "Home") -> "tuple[SearchRow, ...]":
    """All searches but retrainings, which are below theirs."""
    every = home.journal.searches()
    names = {row.name for row in every}
    return tuple(row for row in every if row.parent not in names)


def results(
    name: SEARCH_OR_GROUP,
    form: FORMAT = "table",
    top: TOP = None,
    breed_again: BREED_AGAIN = False,
    storage: STORAGE = None,
    address: SERVER = None,
) -> None:
    """Every chromosome with its parents, fitness, size and cost.

    In order of their numbers. CSV and JSON have more than the table: operators, failures, all measures.
    """
    if breed_again and form != "json":
        raise InputError(
            f"--breed-again changes nothing of --format {form}; add --format json, or leave it out"
        )
    if address is not None:
        options = {"--format": form, "--top": top, "--breed-again": breed_again, "--storage": storage}
        run_on_head(address, "results", name, options)
    from evosearch.reports import (
        MeanDeviation,
        best_figure,
        only_best,
        results_csv,
        results_document,
        results_table,
    )

    with opened(storage, reads=True) as home:
        if _print_table(name, home, form, top, breed_again):
            return
        members = home.members_of(name)
        rows = _evaluations(home, name, members, form == "json", breed_again)
        unfinished = sum(member.state != "done" for member in members)
        searches = members or (home.find_search(name),)
        bests = [home.journal.best(row.name) for row in searches]
        spread = MeanDeviation.of(bests, unfinished)
        readings = [one for row in searches for one in home.journal.test_readings(row.name)]
    if top is not None:
        rows = only_best(rows, top, bests[0].candidate if bests[0] and not members else None)
    match form:
        case "json":
            print_json(results_document(rows, grouped=bool(members)))
        case "csv":
            say_lines(results_csv(rows, grouped=bool(members)))
        case _:
            width = terminal_width() if sys.stdout.isatty() else None
            say_table(results_table(rows, grouped=bool(members), width=width), width)
            _say_precision(searches)
            for row, best in zip(searches, bests, strict=True):
                if best is not None and best.trainings > 1:
                    say(f"best of {row.name}: {best_figure(row, best)}, candidate {best.candidate}")
            if members:
                say(str(spread))
            _say_readings(readings)


def _print_table(name: str, home: "Home", form: str, top: int | None, breed_again: bool) -> bool:
    """Print the table where `name` is a study's; returns whether it is."""
    from evosearch.reports import study_csv, study_document, study_grid, study_markdown, study_notes
    from evosearch.studying import is_study, open_study

    if not is_study(name, home):
        if form == "markdown":
            raise InputError(
                f"--format markdown is of a study's table, and {name!r} is none; give csv or json"
            )
        return False
    if top is not None or breed_again:
        option = "--breed-again" if top is None else f"--top {top}"
        members = home.members_of(name)
        raise InputError(
            f"{option} is of one search's chromosomes, and {name!r} is a study; name a member, for instance "
            f"`evosearch results {members[0].name}`"
        )
    study = open_study(name, home)
    table = study.table
    comparison = study.comparison(table)
    match form:
        case "json":
            print_json(study_document(table, comparison))
        case "csv":
            say_lines(study_csv(comparison))
        case "markdown":
            say_lines(study_markdown(table, comparison))
        case _:
            width = terminal_width() if sys.stdout.isatty() else None
            say_table(study_grid(table, comparison, width), width)
            _say_precision(home.members_of(name))
            for line in study_notes(table, comparison):
                say(line)
    return True


def _print_study(study: "Study", snapshots: "Sequence[SearchSnapshot]", as_json: bool) -> None:
    """Steps and members; no mean over arms, which would be of nothing."""
    from evosearch.reports import status_document

    if as_json:
        steps = [{"name": one.name, "done": one.done, "total": one.total} for one in study.progress]
        members = [status_document(snapshot) for snapshot in snapshots]
        kind = study.settings.kind
        print_json({"name": study.config.name, "study": kind, "steps": steps, "members": members})
        return
    say(f"{study.config.name}: {study.settings.kind}")
    for number, one in enumerate(study.progress, start=1):
        total = (
            "as many as follow from the steps before" if one.total is None else f"{one.done} of {one.total}"
        )
        say(f"  step {number}  {one.name}: {total}")
    _say_status(snapshots)
    _say_precision([snapshot.row for snapshot in snapshots])
    _say_readings([one for snapshot in snapshots for one in snapshot.readings])


def _evaluations(
    home: "Home", name: str, members: "Sequence[SearchRow]", as_json: bool, breed_again: bool
) -> "list[EvaluationRow]":
    from evosearch.reports import MemberEvaluation

    def of(search: str) -> "Sequence[EvaluationRow]":
        if breed_again:
            from evosearch.api import evaluations_bred_again

            return evaluations_bred_again(search, home)
        return home.journal.evaluations(search, with_curve=as_json)

    if not members:
        home.find_search(name)
        return list(of(name))
    return [MemberEvaluation.of(member.name, row) for member in members for row in of(member.name)]


def _print_all(snapshots: "Sequence[SearchSnapshot]", as_json: bool) -> None:
    from evosearch.reports import status_document

    if as_json:
        print_json([status_document(snapshot) for snapshot in snapshots])
    else:
        _say_status(snapshots)


def _say_status(snapshots: "Sequence[SearchSnapshot]") -> None:
    from evosearch.reports import status_table

    # The table is made for the terminal's width; where a name is too long even so, a row is wider and nothing is cut.
    say_table(status_table(snapshots, terminal_width() if sys.stdout.isatty() else None))


def _print_group(name: str, snapshots: "Sequence[SearchSnapshot]", as_json: bool) -> None:
    from evosearch.reports import group_document, snapshots_spread

    if as_json:
        print_json(group_document(name, snapshots))
    else:
        _say_status(snapshots)
        _say_precision([snapshot.row for snapshot in snapshots])
        say(str(snapshots_spread(snapshots)))
        _say_readings([one for snapshot in snapshots for one in snapshot.readings])


def _say_precision(rows: "Sequence[SearchRow]") -> None:
    """How these compute, each way once."""
    from evosearch.reports import precision_words

    for words in dict.fromkeys(map(precision_words, rows)):
        say(f"training.precision: {words}")


def _say_readings(readings: "Sequence[TestReading]") -> None:
    from evosearch.reports import reading_row

    for one in readings:
        say(f"{one.search}: {reading_row(one)}")


def _print_search(snapshot: "SearchSnapshot", as_json: bool) -> None:
    from evosearch.reports import status_document, status_lines

    if as_json:
        print_json(status_document(snapshot))
    else:
        for line in status_lines(snapshot):
            say(line)


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    for command in (status, results):
        app.command()(command)
