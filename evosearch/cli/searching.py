"""`run`, `resume` and `retrain`: the commands that train."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evosearch.cli.examples import chosen_file
from evosearch.cli.opening import findable, opened
from evosearch.cli.options import (
    ADDRESS,
    CONFIG_OR_EXAMPLE,
    EXAMPLE,
    EXECUTOR,
    JSON,
    NAME,
    SEARCH_OR_GROUP,
    SEEDS,
    SET,
    STORAGE,
    TAKEOVER,
    WORKERS,
    parse_seeds,
    with_workers,
)
from evosearch.cli.output import print_json, say, tell
from evosearch.cli.remote import ADDRESS_OR_SERVER, is_job_server, run_on_head
from evosearch.errors import InputError, SearchConflictError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evosearch.api import Finished
    from evosearch.storage import Home, TestReading


GENERATIONS = Annotated[
    int | None,
    typer.Option("--generations", metavar="N", min=1, help="New total of generations, to extend the search."),
]
EPOCHS = Annotated[
    int | None,
    typer.Option(
        "--epochs", metavar="N", min=1, help="Passes over the training images. Default: final.epochs."
    ),
]
REPEATS = Annotated[
    str | None,
    typer.Option(
        "--seeds",
        metavar="SEEDS",
        help="One training from each seed, from 1 on; 1..5 (both included), or 1,3. Default: 1 to final.seeds.",
    ),
]
WEIGHTS = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Start from these weights, such as another search's winner.safetensors of the same chromosome.",
    ),
]
FROM = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="FILE",
        help="Bring NAME in first, from this copy (`evosearch backup`), into a journal that lacks it.",
    ),
]
SEARCH_NAME = Annotated[
    str | None, typer.Option("--name", help="Name of the search. Default: the file's stem.")
]


def run(
    context: typer.Context,
    config: CONFIG_OR_EXAMPLE = None,
    example: EXAMPLE = None,
    override: SET = None,
    name: SEARCH_NAME = None,
    seeds: SEEDS = None,
    workers: WORKERS = None,
    executor: EXECUTOR = None,
    address: ADDRESS = None,
    storage: STORAGE = None,
    takeover: TAKEOVER = False,
) -> None:
    """Start a search, or go on with it; with --seeds, a group."""
    from evosearch import api
    from evosearch.cli.progress import show_progress
    from evosearch.config import read_config
    from evosearch.storage import without_password

    if is_job_server(address):
        raise InputError(
            f"--address {without_password(address)} is a job server; `evosearch submit CONFIG` with it runs the search "
            "on that head, and run takes the cluster's own address, HEAD:6379"
        )
    chosen = None if seeds is None else parse_seeds(seeds)
    overrides = with_workers(override or [], workers)
    loaded, source = read_config(chosen_file(config, example), overrides, name=name)
    loaded.storage.check()
    place = loaded.storage.journal if storage is None else storage
    with opened(place, create=True) as home:
        _tell_where(home)
        with show_progress() as watcher:
            ended: Finished | tuple[Finished, ...]
            how = api.Driving(
                executor=executor, address=address, watcher=watcher, takeover=takeover, providers=context.obj
            )
            if chosen is None:
                ended = api.run(loaded, home, source=source, **how)
            else:
                ended = api.run_group(loaded, chosen, home, source=source, **how)
    _print_ended(loaded.name, ended, home)


def resume(
    context: typer.Context,
    name: SEARCH_OR_GROUP,
    generations: GENERATIONS = None,
    copy: FROM = None,
    executor: EXECUTOR = None,
    address: ADDRESS_OR_SERVER = None,
    storage: STORAGE = None,
    takeover: TAKEOVER = False,
) -> None:
    """Go on with a search or group; --generations extends it."""
    if is_job_server(address):
        if copy is not None:
            raise InputError(
                f"--from {copy} is a file of this machine, and --address runs the command on the head; bring it in there"
            )
        options = {"--generations": generations, "--executor": executor}
        run_on_head(address, "resume", name, {**options, "--storage": storage, "--takeover": takeover})
    from evosearch import api
    from evosearch.cli.progress import show_progress
    from evosearch.cli.studying import end_study
    from evosearch.studying import is_study

    if copy is not None:
        _bring_in(copy, name, storage)
    with opened(storage) as home:
        _tell_where(home)
        with show_progress() as watcher:
            ended: Finished | tuple[Finished, ...]
            how = api.Driving(
                executor=executor, address=address, watcher=watcher, takeover=takeover, providers=context.obj
            )
            if is_study(name, home):
                if generations is not None:
                    raise InputError(
                        f"--generations {generations}: {name!r} is a study, whose searches have equal budgets; leave it out"
                    )
                study = api.resume_study(name, home, **how)
                end_study(study, home, as_json=False)
                return
            if home.members_of(name):
                ended = api.resume_group(name, home, generations=generations, **how)
            else:
                ended = api.resume(name, home, generations=generations, **how)
        if isinstance(ended, tuple) or ended.row.parent is None:
            _print_ended(name, ended, home)
            return
        read = [one for one in home.journal.test_readings(name) if one.metrics is not None]
        _print_readings(ended.row.parent, read, home, as_json=False, several=True)
        _say_winner(ended.row.parent, home)
        api.check_trained(home, name)


def _bring_in(file: Path, name: str, storage: str | None) -> None:
    from evosearch.reports import counted
    from evosearch.storage import bring_in, open_home

    with open_home(str(file), env=os.environ, cwd=Path.cwd(), create=False, reads=True) as copy:
        if not copy.members_of(name):
            copy.find_search(name)  # before a home is made for it
        with opened(storage, create=True) as home:
            came = bring_in(home, copy, name)
            tell(
                f"{name!r} was brought into {home.journal.place} from {file}: {counted(len(came), 'search')}"
            )


def retrain(
    context: typer.Context,
    name: NAME,
    epochs: EPOCHS = None,
    seeds: REPEATS = None,
    weights: WEIGHTS = None,
    as_json: JSON = False,
    executor: EXECUTOR = None,
    address: ADDRESS_OR_SERVER = None,
    storage: STORAGE = None,
    takeover: TAKEOVER = False,
) -> None:
    """Train the best chromosome again, then read the test split.

    The split is read once by each network that is trained.
    """
    if is_job_server(address):
        options = {"--epochs": epochs, "--seeds": seeds, "--weights": weights, "--json": as_json}
        options["--executor"] = executor
        run_on_head(address, "retrain", name, {**options, "--storage": storage, "--takeover": takeover})
    from evosearch import api
    from evosearch.cli.progress import show_progress

    repeats = None if seeds is None else parse_seeds(seeds)
    with opened(storage) as home:
        with show_progress() as watcher:
            _refuse_group(name, home)
            how = api.Driving(
                executor=executor, address=address, watcher=watcher, takeover=takeover, providers=context.obj
            )
            readings = api.retrain(name, home, epochs=epochs, seeds=repeats, weights=weights, **how)
        _print_readings(name, readings, home, as_json=as_json, several=seeds is not None or len(readings) > 1)
        if not as_json:
            _say_winner(name, home)


def _print_readings(
    name: str, readings: "Sequence[TestReading]", home: "Home", *, as_json: bool, several: bool
) -> None:
    from evosearch.reports import (
        confirmation_lines,
        confirmation_of,
        reading_document,
        reading_lines,
        readings_lines,
    )
    from evosearch.studies import contest_of

    row = home.find_search(name)
    confirmed = confirmation_of(row, home.journal.best(name), readings, contest_of(home, row))
    placed = [(reading, _place_of(reading, home)) for reading in readings]
    if as_json:
        told = {"confirmation": confirmed and confirmed.to_json()}
        documents = [reading_document(name, reading, place) | told for reading, place in placed]
        print_json(documents if several else documents[0])
        return
    for reading, place in placed:
        for line in reading_lines(name, reading, place):
            say(line)
    for line in readings_lines(readings) if len(readings) > 1 else ():
        say(line)
    for line in confirmation_lines(confirmed):
        say(line)
    for place in dict.fromkeys(place for _, place in placed):
        _say_pictures(place)


def _say_pictures(place: str) -> None:
    """Which there are of a retraining: readings of older versions have left none."""
    from evosearch.reports import LEARNING, ROC

    for title, picture in (("Learning curves", LEARNING), ("ROC curves", ROC)):
        if "://" in place or Path(place, picture).is_file():
            say(f"{title:<16} {place}/{picture}")


def _say_winner(name: str, home: "Home") -> None:
    """Where the trained network is, of a search that has one."""
    import json

    from evosearch import api
    from evosearch.config import config_from_json
    from evosearch.reports import winner_lines

    config = config_from_json(home.find_search(name).configuration)
    store = api.artifact_store(home, config).within(name)
    try:
        winner = json.loads(store.read_bytes("winner.json"))
    except (FileNotFoundError, ValueError):
        return
    for line in winner_lines(name, store.place, winner) if isinstance(winner, dict) else ():
        say(line)


def _place_of(reading: "TestReading", home: "Home") -> str:
    from evosearch import api
    from evosearch.config import config_from_json

    return api.artifact_place(home, config_from_json(home.find_search(reading.search).configuration))


def _tell_where(home: "Home") -> None:
    tell(f"journal {home.journal.place}")
    for note in home.notes:
        tell(note)


def _refuse_group(name: str, home: "Home") -> None:
    from evosearch.reports import best_member, counted
    from evosearch.studying import is_study

    if members := home.members_of(name):
        best = best_member((row, home.journal.best(row.name)) for row in members) or members[0]
        kind = "study" if is_study(name, home) else "group"
        raise SearchConflictError(
            f"{name!r} is a {kind} of {counted(len(members), 'member')}; name one, for instance "
            f"`evosearch retrain {best.name}`"
        )


def _print_ended(name: str, ended: "Finished | tuple[Finished, ...]", home: "Home") -> None:
    from evosearch.reports import group_lines, search_lines

    if isinstance(ended, tuple):
        lines = group_lines(name, [(one.row, one.best) for one in ended], ended[0].folder.parent)
    else:
        where = (ended.folder, ended.place)
        lines = search_lines(ended.row, ended.best, ended.classes, *where, ended.largest, ended.kept)
    for line in lines:
        say(findable(line, home))


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    for command in (run, resume, retrain):
        app.command()(command)
