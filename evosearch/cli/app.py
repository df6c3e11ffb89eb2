"""The command line's frame: the commands, and how every way to fail ends."""

import logging
import os
import sys
import threading
from importlib import metadata
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from evosearch.cli import (
    benching,
    examples,
    explaining,
    inspecting,
    keeping,
    reading,
    searching,
    studying,
    submitting,
)
from evosearch.cli.output import PrintableLog, complain, say, write_whatever_it_takes
from evosearch.errors import EvosearchError, of_system

if TYPE_CHECKING:
    from evosearch.providers import Providers

EXIT_STATUSES = """\
Exit status: 0 done; 1 a bug of ours; 2 your input is wrong; 3 this machine or cluster cannot run it;
4 another driver holds the search; 5 stopped because too many evaluations failed (resumable);
75 stopped by Ctrl-C, SIGTERM or SIGHUP (resumable); 130 a second Ctrl-C.

Searches are under $EVOSEARCH_HOME, else ./runs. A relative data.root is looked for beside the configuration
file, then in the working directory, under $EVOSEARCH_DATA and under ./data."""

UsageError: type[Exception] = typer.BadParameter.__mro__[2]
"""`ClickException`, the base of what typer raises for a wrong command line; it is not exported under a name of its own."""

PYDANTIC = "Value error, "
"""What pydantic, with which typer checks a value, puts before the message; it says nothing to a person."""

EXPECTED = "Input should be"
"""And with what it begins where it does not say which value it found."""

LIBRARIES = 2
"""That start a thread per core: numpy and scipy bring an OpenBLAS each."""

MOST_OF_LIBRARY = 64
"""Threads that an OpenBLAS of theirs starts at most."""

INTERRUPTED = 130
"""What typer returns for a KeyboardInterrupt, and the shell's own convention."""

app = typer.Typer(
    name="evosearch",
    epilog=EXIT_STATUSES,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"evosearch {metadata.version('evosearch')}")
        raise typer.Exit


VERSION = Annotated[
    bool,
    typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True),
]


@app.callback()
def about(version: VERSION = False) -> None:
    """Evolve convolutional networks for image classification."""


examples.add_to(app)
searching.add_to(app)
studying.add_to(app)
submitting.add_to(app)
reading.add_to(app)
inspecting.add_to(app)
keeping.add_to(app)
benching.add_to(app)
explaining.add_to(app)


def _check_threads(cores: int) -> None:
    """See that the system lets this process start the threads that numeric libraries start as they are loaded.

    OpenBLAS, where one is refused, writes five lines and sends its own process a SIGINT, which then looks like Ctrl-C.

    Raises:
        RuntimeError: it does not; see `of_system`.
    """
    gate, started = threading.Event(), []
    try:
        for _ in range(LIBRARIES * min(cores, MOST_OF_LIBRARY)):
            thread = threading.Thread(target=gate.wait)
            thread.start()
            started.append(thread)
    finally:
        gate.set()
        for thread in started:
            thread.join()


def _end(error: EvosearchError) -> NoReturn:
    for line in error.lines:
        complain(line)
    sys.exit(error.exit_status)


def _wrong_command(error: Exception) -> str:
    """What typer says of a wrong command line, with the value that it found."""
    told: str = error.format_message().replace(PYDANTIC, "")  # type: ignore[attr-defined] # of click's base
    problems = getattr(error.__cause__, "errors", None)  # pydantic's, which checked the value
    found = problems()[0]["input"] if problems else None
    return told if found is None else told.replace(EXPECTED, f"{str(found)!r}; it should be", 1)


def main(providers: "Providers | None" = None) -> None:
    """Run the command that `sys.argv` names and exit with its status. `providers`: of workers, images and time; None: the
    real ones.
    """
    if logging.lastResort is not None:  # what writes our warnings as long as nobody has set logging up
        logging.lastResort.setFormatter(PrintableLog())
    write_whatever_it_takes()
    try:
        _check_threads(os.cpu_count() or 1)
        status = app(standalone_mode=False, obj=providers)
    except EvosearchError as error:
        _end(error)
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        translated = of_system(error)
        if translated is None:
            raise
        _end(translated)
    except UsageError as error:
        from evosearch.storage import without_password

        told = without_password(_wrong_command(error))
        complain(f"{told} (evosearch --help lists commands and options)")
        sys.exit(2)
    if status == INTERRUPTED:
        complain("stopped at once by Ctrl-C; the journal is whole, and the same command goes on")
    sys.exit(status if isinstance(status, int) else 0)
