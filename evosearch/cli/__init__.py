"""Cli: the commands. Each parses its options, calls `api`, and prints; nothing is decided here.

Results go to standard output, progress and errors to standard error. An `EvosearchError` becomes one line and its
exit status; anything else is a bug of ours, with its traceback and status 1.
"""

from evosearch.cli.app import main
from evosearch.cli.output import tell_traceback

__all__ = ["main", "tell_traceback"]
