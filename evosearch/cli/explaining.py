"""`explain`: what evosearch does, and why so."""

import typer

from evosearch.cli.options import JSON, Topics
from evosearch.cli.output import print_json, say

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


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.add_typer(explain, name="explain")
