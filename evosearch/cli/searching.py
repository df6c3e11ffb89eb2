"""`run`, `resume` and `retrain`: the commands that train."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evosearch.cli.options import ADDRESS, CONFIG, EXECUTOR, JSON, NAME, SET, STORAGE
from evosearch.cli.output import print_json, say, tell

if TYPE_CHECKING:
    from evosearch.wiring import Finished

GENERATIONS = Annotated[
    int | None,
    typer.Option("--generations", metavar="N", help="New total of generations, to extend the search."),
]
EPOCHS = Annotated[
    int | None,
    typer.Option(
        "--epochs", metavar="N", min=1, help="Passes over the training images. Default: final.epochs."
    ),
]
SEARCH_NAME = Annotated[
    str | None, typer.Option("--name", help="Name of the search. Default: the file's stem.")
]


def run(
    config: CONFIG,
    override: SET = None,
    name: SEARCH_NAME = None,
    executor: EXECUTOR = None,
    address: ADDRESS = None,
    storage: STORAGE = None,
) -> None:
    """Start a search, or go on with the unfinished one of that name."""
    from evosearch import wiring
    from evosearch.cli.progress import show_progress
    from evosearch.config import load_config
    from evosearch.storage import open_home

    loaded = load_config(config, override or [], name=name)
    where = storage or loaded.storage.journal
    with open_home(where, env=os.environ, cwd=Path.cwd(), create=True) as home:
        tell(f"journal {home.journal_path}")
        with show_progress() as watcher:
            finished = wiring.run(loaded, home, executor=executor, address=address, watcher=watcher)
    _print_finished(finished)


def resume(
    name: NAME,
    generations: GENERATIONS = None,
    executor: EXECUTOR = None,
    address: ADDRESS = None,
    storage: STORAGE = None,
) -> None:
    """Go on with a search where it stood; --generations extends it."""
    from evosearch import wiring
    from evosearch.cli.progress import show_progress
    from evosearch.storage import open_home

    with open_home(storage, env=os.environ, cwd=Path.cwd(), create=False) as home:
        tell(f"journal {home.journal_path}")
        with show_progress() as watcher:
            finished = wiring.resume(
                name, home, generations=generations, executor=executor, address=address, watcher=watcher
            )
    _print_finished(finished)


def retrain(name: NAME, epochs: EPOCHS = None, as_json: JSON = False, storage: STORAGE = None) -> None:
    """Train the best chromosome anew, then read the test split, once."""
    from evosearch import wiring
    from evosearch.cli.progress import show_progress
    from evosearch.config import config_from_json
    from evosearch.reports import reading_document, reading_lines
    from evosearch.storage import open_home

    with open_home(storage, env=os.environ, cwd=Path.cwd(), create=False) as home, show_progress() as watcher:
        reading = wiring.retrain(name, home, epochs=epochs, watcher=watcher)
        config = config_from_json(home.find_search(name).configuration)
    folder = wiring.artifact_folder(home, config)
    if as_json:
        print_json(reading_document(name, reading, folder))
        return
    for line in reading_lines(name, reading, folder):
        say(line)


def _print_finished(finished: "Finished") -> None:
    from evosearch.reports import search_lines

    for line in search_lines(finished.row, finished.best, finished.classes, finished.folder):
        say(line)


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    for command in (run, resume, retrain):
        app.command()(command)
