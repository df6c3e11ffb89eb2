"""`data` and `validate`: the commands that check before anything is trained."""

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from evosearch.cli.examples import chosen_file
from evosearch.cli.opening import opened
from evosearch.cli.options import CONFIG_OR_EXAMPLE, EXAMPLE, JSON, SET
from evosearch.cli.output import print_json, say, tell
from evosearch.errors import CannotRunError, DataError, JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evosearch.config import Document, RunConfig
    from evosearch.storage import Home


def data(
    config: CONFIG_OR_EXAMPLE = None, example: EXAMPLE = None, override: SET = None, as_json: JSON = False
) -> None:
    """What the data are, and what is wrong with them, worst first.

    Splits, classes, sizes, hash, bad files; twins within and across splits and under two labels, class shares, and what file
    headers alone and ten statistics of the pixels alone give away.
    """
    from evosearch import api
    from evosearch.config import read_config
    from evosearch.reports import data_lines
    from evosearch.reports.words import counted

    loaded, source = read_config(chosen_file(config, example), override or [])
    _tell_notes(source)
    report = api.data_report(loaded)
    if as_json:
        print_json(report.to_json())
    else:
        for line in data_lines(report):
            say(line)
    if report.repeats and not report.bad_files:
        raise DataError(
            f"names that are twice in a split list of {report.root!r} ({len(report.repeats)}), listed above; a new "
            "search needs each image named once"
        )
    if report.objections and not report.bad_files:
        raise DataError(f"no new search begins with the data in {report.root!r}; it is said above why")
    if report.bad_files:
        refused, missing = len(report.bad_files) - report.missing, report.missing
        found = [counted(n, kind) for n, kind in ((refused, "bad file"), (missing, "missing file")) if n]
        raise DataError(f"{' and '.join(found)} in {report.root!r}, listed above; {report.repair}")


PROBE = Annotated[
    bool,
    typer.Option(
        "--probe/--no-probe",
        help="Measure a few steps on this machine, for up to half a minute, and tell hours and memory.",
    ),
]


def validate(
    config: CONFIG_OR_EXAMPLE = None,
    example: EXAMPLE = None,
    override: SET = None,
    as_json: JSON = False,
    probe: PROBE = True,
) -> None:
    """Check a configuration with its data; print what it would cost."""
    from evosearch import api
    from evosearch.config import read_config
    from evosearch.reports import cost_lines

    file = chosen_file(config, example)
    loaded, source = read_config(file, override or [])
    _tell_notes(source)
    loaded.storage.check()
    with _home_of_study(loaded) as (home, why):
        cost = api.validate(loaded, source, home=home, measure=probe)
    for note in cost.notes:
        tell(f"data: {note}")
    if cost.study and (names := cost.study.unchecked):
        tell(
            f"note: unchecked: the study names {', '.join(map(repr, names))} for the best of a search; {why}"
        )
    if as_json:
        print_json({"name": loaded.name, "valid": True, **cost.to_json()})
        return
    say(f"{file}: valid")
    for line in cost_lines(cost):
        say(line)


@contextmanager
def _home_of_study(config: "RunConfig") -> "Iterator[tuple[Home | None, str]]":
    """The home in which a study's searches are looked up, or why there is none."""
    home, why = None, ""
    with ExitStack() as stack:
        if config.study is not None:
            try:
                home = stack.enter_context(opened(config.storage.journal, reads=True))
            except (JournalError, CannotRunError) as error:
                why = str(error)
        yield home, why


def _tell_notes(source: "Document") -> None:
    for note in source.notes:
        tell(f"note: {note}")


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    for command in (data, validate):
        app.command()(command)
