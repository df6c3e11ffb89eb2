"""`status` and `results`: the commands that only read a journal."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from evosearch.cli.options import JSON, NAME, STORAGE
from evosearch.cli.output import print_json, say, say_table

if TYPE_CHECKING:
    from evosearch.reports import Standing
    from evosearch.storage import Home, SearchRow

FORMAT = Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="How to print them.")]
TOP = Annotated[int | None, typer.Option("--top", metavar="N", min=1, help="Only the N best.")]


def status(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A search. Default: all of them.")
    ] = None,
    as_json: JSON = False,
    storage: STORAGE = None,
) -> None:
    """How far searches are: generation, evaluations, best, estimated end."""
    from evosearch.reports import status_document, status_lines, status_table
    from evosearch.storage import open_home

    with open_home(storage, env=os.environ, cwd=Path.cwd(), create=False) as home:
        rows = home.journal.searches() if name is None else (home.find_search(name),)
        standings = [_standing(home, row) for row in rows]
    documents = [status_document(standing) for standing in standings]
    if as_json:
        print_json(documents if name is None else documents[0])
    elif name is None:
        say_table(status_table(standings))
    else:
        for line in status_lines(standings[0]):
            say(line)


def results(
    name: NAME,
    form: FORMAT = "table",
    top: TOP = None,
    storage: STORAGE = None,
) -> None:
    """Every chromosome with parents, operators, fitness, size and cost, by number."""
    from evosearch.reports import best_first, results_csv, results_document, results_table
    from evosearch.storage import open_home

    with open_home(storage, env=os.environ, cwd=Path.cwd(), create=False) as home:
        home.find_search(name)
        rows = list(home.journal.evaluations(name, with_curve=form == "json"))
    if top is not None:
        rows = best_first(rows)[:top]
    match form:
        case "json":
            print_json(results_document(rows))
        case "csv":
            say(results_csv(rows).rstrip("\n"))
        case _:
            say_table(results_table(rows))


def _standing(home: "Home", row: "SearchRow") -> "Standing":
    from evosearch.config import config_from_json
    from evosearch.reports import Standing
    from evosearch.storage import current_state, lock_is_free

    state = current_state(row, lock_is_free(home.folder_of(row.name), row.term), time.time())
    total = config_from_json(row.configuration).strategy.evaluations_of(row.generations)
    return Standing(row, state, home.journal.best(row.name), total)


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    for command in (status, results):
        app.command()(command)
