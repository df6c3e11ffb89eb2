"""`explain`: what evosearch does, and why so."""

import typer

from evosearch.cli.options import JSON
from evosearch.cli.output import print_json, say

explain = typer.Typer(help="What evosearch does, and why so.", no_args_is_help=True)


@explain.callback()
def about() -> None:
    """What evosearch does, and why so."""


@explain.command()
def protocol(as_json: JSON = False) -> None:
    """Where the paper's text, its authors' released code and evosearch differ, and the keys that decide it."""
    from evosearch.studies.protocol import protocol_json, protocol_lines

    if as_json:
        print_json(protocol_json())
        return
    for line in protocol_lines():
        say(line)


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.add_typer(explain, name="explain")
