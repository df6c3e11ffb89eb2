"""`explain`: what evosearch does, why so, and why a search finds what it finds."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from evosearch.cli import completing
from evosearch.cli.opening import opened
from evosearch.cli.options import JSON, STORAGE, Topics
from evosearch.cli.output import print_json, say, say_lines, say_table
from evosearch.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evosearch.storage import Home, SearchRow
    from evosearch.studies import ArmSelection

explain = typer.Typer(cls=Topics, help="What evosearch does, and why so.")


@explain.callback()
def about() -> None:
    """What evosearch does, and why so."""


@explain.command()
def protocol(as_json: JSON = False) -> None:
    """Where the paper, its released code and evosearch differ.

    Rule by rule, with the keys that decide it.
    """
    from evosearch.studies.protocol import protocol_json, protocol_lines

    if as_json:
        print_json(protocol_json())
        return
    for line in protocol_lines():
        say(line)


@explain.command()
def search(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A search, a group or a study.",
            autocompletion=completing.searches_and_groups,
        ),
    ],
    form: Annotated[
        Literal["table", "markdown"], typer.Option("--format", help="How to print it.")
    ] = "table",
    as_json: JSON = False,
    storage: STORAGE = None,
) -> None:
    """Why a search wins over chance, or does not.

    Noise, selection, heritability, diversity, origins and depth, each with its number, and what follows from them. Of a group
    or a study the means of each arm. Reads the journal alone.
    """
    if as_json and form == "markdown":
        raise InputError("--json and --format markdown are two ways to print one thing; give one of them")
    from evosearch.reports import (
        selection_document,
        selection_grid,
        selection_lines,
        selection_markdown,
        selection_parts,
        selection_title,
    )

    with opened(storage, reads=True) as home:
        grouped = bool(home.members_of(name))
        arms = _arms(name, home)
    if as_json:
        print_json(selection_document(arms, name=name, grouped=grouped))
        return
    if form == "markdown":
        say_lines(selection_markdown(arms, name=name, grouped=grouped))
        return
    say(selection_title(arms, name=name, grouped=grouped))
    for part in selection_parts(arms, grouped=grouped):
        say()
        say_table(selection_grid(part))
    say()
    for line in selection_lines(arms, grouped=grouped):
        say(line)


def _arms(name: str, home: "Home") -> "Sequence[ArmSelection]":
    """The searches of `name` by arm, a search or a group being one.

    Raises:
        InputError: there is no such search, or nothing in it has been evaluated yet.
    """
    from evosearch.studies import ArmSelection, selection_figures

    arms = {
        arm: [
            selection_figures(
                row,
                home.journal.evaluations(row.name),
                home.journal.generations(row.name),
                home.journal.test_readings(row.name),
                home.journal.best(row.name),
            )
            for row in rows
            if row.counts.get("done")
        ]
        for arm, rows in _rows(name, home).items()
    }
    found = [ArmSelection.of(arm, searches) for arm, searches in arms.items() if searches]
    if not found:
        raise InputError(
            f"nothing of {name!r} has been evaluated with success yet; see `evosearch status {name}`"
        )
    return found


def _rows(name: str, home: "Home") -> "Mapping[str, Sequence[SearchRow]]":
    from evosearch.studying import is_study, open_study

    members = home.members_of(name)
    if not members:
        alone = home.find_search(name)
        if alone.parent is not None:
            raise InputError(
                f"{name!r} trains the best of {alone.parent!r} again, and selects nothing; "
                f"write evosearch explain search {alone.parent}"
            )
        return {name: [alone]}
    if not is_study(name, home):
        return {name: members}
    rows: dict[str, list[SearchRow]] = {}
    by_name = {row.name: row for row in members}
    for one in open_study(name, home).known:
        if (row := by_name.get(one.name(name))) is not None:
            rows.setdefault(one.arm.name, []).append(row)
    return rows


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.add_typer(explain, name="explain")
