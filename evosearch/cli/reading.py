"""`status` and `results`: the commands that only read a journal."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from evosearch.cli.options import JSON, NAME, STORAGE
from evosearch.cli.output import console, print_json, say

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

    home = open_home(storage, env=os.environ, cwd=Path.cwd(), create=False)
    if name is not None:
        standing = _standing(home, home.find_search(name))
        if as_json:
            print_json(status_document(standing))
            return
        for line in status_lines(standing):
            say(line)
        return
    standings = [_standing(home, row) for row in home.journal.searches()]
    if as_json:
        print_json([status_document(standing) for standing in standings])
    else:
        console().print(status_table(standings))


def results(
    name: NAME,
    form: FORMAT = "table",
    top: TOP = None,
    storage: STORAGE = None,
) -> None:
    """Every chromosome with parents, operators, fitness, size and cost, by number."""
    from evosearch.reports import best_first, results_csv, results_document, results_table
    from evosearch.storage import open_home

    home = open_home(storage, env=os.environ, cwd=Path.cwd(), create=False)
    home.find_search(name)
    rows = list(home.journal.evaluations(name))
    if top is not None:
        rows = best_first(rows)[:top]
    match form:
        case "json":
            print_json(results_document(rows))
        case "csv":
            say(results_csv(rows).rstrip("\n"))
        case _:
            console().print(results_table(rows))


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
