"""`baselines`, `ablation`, `batchnorm` and `dropout`: the commands that compare; each goes on with what it began."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evosearch.cli import completing
from evosearch.cli.opening import findable, opened
from evosearch.cli.options import (
    ADDRESS,
    CONFIG,
    EXECUTOR,
    JSON,
    SET,
    STORAGE,
    TAKEOVER,
    WORKERS,
    parse_seeds,
    with_workers,
)
from evosearch.cli.output import print_json, say, say_table, tell, terminal_width
from evosearch.cli.remote import is_job_server
from evosearch.errors import ConfigError, InputError, TooManyFailuresError

if TYPE_CHECKING:
    from evosearch.config import Document, RunConfig
    from evosearch.providers import Executor
    from evosearch.storage import Home
    from evosearch.study import Study

STUDY_NAME = Annotated[
    str | None, typer.Option("--name", help="Name of the study. Default: the file's stem, or NAME-batchnorm.")
]
SEEDS = Annotated[
    str | None,
    typer.Option(
        "--seeds",
        metavar="SEEDS",
        help="One member of each arm from each seed, in place of study.seeds; 0..4 (both included), or 0,3,7.",
    ),
]
NAME_OR_CONFIG = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A finished search, whose best is ORIGIN; or a YAML configuration with study.network.",
        autocompletion=completing.searches,
    ),
]
WEIGHTS = Annotated[
    list[str] | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Train from this file too: the first is ORIGIN's, the next VARIANT#1's, then VARIANT#2's.",
    ),
]


def _of_file(kind: str, told: str) -> Callable[..., None]:
    """The command `kind`, which runs a file's study of that kind; `told`: its help."""

    def command(
        context: typer.Context,
        config: CONFIG,
        override: SET = None,
        name: STUDY_NAME = None,
        seeds: SEEDS = None,
        as_json: JSON = False,
        workers: WORKERS = None,
        executor: EXECUTOR = None,
        address: ADDRESS = None,
        storage: STORAGE = None,
        takeover: TAKEOVER = False,
    ) -> None:
        loaded, source = _read(kind, config, override, name, seeds, workers)
        _run(context, loaded, source, as_json, storage, executor, address, takeover)

    command.__name__, command.__doc__ = kind, told
    return command


baselines = _of_file(
    "baselines",
    """Compare the evolved network with hand-made ones.

    On the same data, budget and seeds; the same again goes on.
    """,
)

ablation = _of_file(
    "ablation",
    """Compare the evolution with searches that lack a part of it.

    With equal budgets; the same again goes on.
    """,
)

dropout = _of_file(
    "dropout",
    """Search networks' rate of dropout, and compare it with others.

    By a genetic algorithm over masks, then trained; the same again goes on.
    """,
)


def batchnorm(
    context: typer.Context,
    name: NAME_OR_CONFIG,
    override: SET = None,
    called: STUDY_NAME = None,
    seeds: SEEDS = None,
    weights: WEIGHTS = None,
    as_json: JSON = False,
    workers: WORKERS = None,
    executor: EXECUTOR = None,
    address: ADDRESS = None,
    storage: STORAGE = None,
    takeover: TAKEOVER = False,
) -> None:
    """Compare the best with its variants in batch norm.

    As found, with batch norm everywhere, and without any, by each optimizer; the same again goes on.
    """
    overrides = list(override or [])
    if weights:
        overrides.append(f"study.weights=[{', '.join(map(_quoted, weights))}]")
    if is_file(name):
        loaded, source = _read("batchnorm", Path(name), overrides, called, seeds, workers)
    else:
        from evosearch.studying import batchnorm_of

        with opened(storage) as home:
            words = _overrides(overrides, seeds, workers)
            loaded, source = batchnorm_of(name, home, words, called)
    _run(context, loaded, source, as_json, storage, executor, address, takeover)


def is_file(name: str) -> bool:
    """Whether what may be a search's name is a configuration's file."""
    return name.endswith((".yaml", ".yml")) or Path(name).is_file()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _overrides(overrides: Sequence[str], seeds: str | None, workers: int | None) -> list[str]:
    chosen = [] if seeds is None else [f"study.seeds=[{', '.join(map(str, parse_seeds(seeds)))}]"]
    return [*with_workers([*overrides], workers), *chosen]


def _read(
    kind: str,
    file: Path,
    overrides: Sequence[str] | None,
    name: str | None,
    seeds: str | None,
    workers: int | None,
) -> "tuple[RunConfig, Document]":
    from evosearch.config import read_config

    given = _overrides(overrides or [], None, workers)
    loaded, source = read_config(file, given, name=name)
    if loaded.study is None:
        raise ConfigError(
            f"{file} has no section study; add `study: {{kind: {kind}}}`, or `evosearch run {file}` for one search"
        )
    if loaded.study.kind != kind:
        raise ConfigError(
            f"{source.place(('study', 'kind'))}: study.kind is {loaded.study.kind}; "
            f"`evosearch {loaded.study.kind} {file}` runs it"
        )
    if seeds is not None:
        loaded, source = read_config(file, _overrides(overrides or [], seeds, workers), name=name)
    return loaded, source


def _run(
    context: typer.Context,
    config: "RunConfig",
    source: "Document",
    as_json: bool,
    storage: str | None,
    executor: "Executor | None",
    address: str | None,
    takeover: bool,
) -> None:
    from evosearch import api
    from evosearch.cli.progress import show_progress
    from evosearch.storage import without_password

    if is_job_server(address):
        raise InputError(
            f"--address {without_password(address)} is a job server; `evosearch submit` with it runs the study on that head, "
            "and here it takes the cluster's own address, HEAD:6379"
        )
    config.storage.check()
    place = config.storage.journal if storage is None else storage
    with opened(place, create=True) as home:
        tell(f"journal {home.journal.place}")
        for note in home.notes:
            tell(note)
        with show_progress() as watcher:
            how = api.Driving(
                executor=executor,
                address=address,
                watcher=watcher,
                takeover=takeover,
                providers=context.obj,
            )
            study = api.run_study(config, home, source=source, **how)
        end_study(study, home, as_json=as_json)


def end_study(study: "Study", home: "Home", *, as_json: bool) -> None:
    """Print what a study that has ended came to; last, which arms failed.

    Raises:
        TooManyFailuresError: no arm was read.
    """
    from evosearch.reports import failed_lines, study_document, study_grid, study_notes
    from evosearch.reports.words import counted, next_steps

    table, name = study.table, study.config.name
    comparison = study.comparison(table)
    if as_json:
        print_json(study_document(table, comparison))
    else:
        width = terminal_width() if sys.stdout.isatty() else None
        say_table(study_grid(table, comparison, width), width)
        for line in study_notes(table, comparison):
            say(line)
        say(f"Table  {study.place}/table.md (.csv, .json, .png)")
        for line in next_steps(
            "Next   ",
            (f"evosearch results {name}", "this table"),
            (f"evosearch status {name}", "its members"),
        ):
            say(findable(line, home))
    if not (failed := table.failed):
        return
    told = f"{counted(len(failed), 'member')} of the study {name!r} failed"
    if not any(row.read for row in table.rows):
        raise TooManyFailuresError(f"{told} ({', '.join(failed)}), and no arm was read; the table says why")
    tell(f"{told}:")
    for line in failed_lines(table):
        tell(f"  {line}")


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    for command in (baselines, ablation, batchnorm, dropout):
        app.command()(command)
