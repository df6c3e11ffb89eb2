"""`upgrade`: what is done with a journal as a whole."""

import typer

from evosearch.cli.opening import opened
from evosearch.cli.options import STORAGE
from evosearch.cli.output import say


def upgrade(storage: STORAGE = None) -> None:
    """Turn a journal of an older version into one of this version, which older ones then refuse.

    Commands that train do it by themselves; those that only read leave such a journal as it is.
    """
    with opened(storage, note=say) as home:
        if not home.journal.upgrade():
            say(f"the journal {home.journal.place} is of this version's schema {home.journal.schema} already")


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command()(upgrade)
