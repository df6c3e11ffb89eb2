"""`submit`: `run` as a Ray job."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evosearch.cli.options import CONFIG, SEEDS, SET, TAKEOVER, parse_seeds
from evosearch.cli.output import say, tell
from evosearch.cli.searching import SEARCH_NAME
from evosearch.errors import ConfigError, InputError

if TYPE_CHECKING:
    from evosearch.config import RunConfig
    from workers.job_client import Parcel

ADDRESS = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="URL",
        help="Job server of the cluster, http://HEAD:8265. Default: RAY_API_SERVER_ADDRESS, else RAY_ADDRESS.",
    ),
]
STORAGE = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help="The journal, as the head sees it. Default: ~/evosearch-runs/journal.db there.",
    ),
]
WAIT = Annotated[
    bool,
    typer.Option(
        "--wait",
        help="Show the log until the search ends, and end with its exit status; Ctrl-C (75) leaves it running.",
    ),
]


def submit(
    config: CONFIG,
    override: SET = None,
    name: SEARCH_NAME = None,
    seeds: SEEDS = None,
    address: ADDRESS = None,
    storage: STORAGE = None,
    takeover: TAKEOVER = False,
    wait: WAIT = False,
) -> None:
    """Run a search as a Ray job, in a copy of this folder; the same again goes on with it."""
    from evosearch.config import load_config
    from evosearch.storage import parse_place
    from workers.job_client import JobClient

    overrides = override or []
    loaded = load_config(config, overrides, name=name)
    loaded.storage.check()
    if seeds is not None:
        parse_seeds(seeds)
    if storage is not None:
        parse_place(storage)
    parcel, sent = _parcel(config)
    parcel.check(sent)
    options = [word for text in overrides for word in ("--set", text)]
    for option, value in (("--name", name), ("--seeds", seeds), ("--storage", storage)):
        options += [option, value] if value else []
    options += ["--takeover"] if takeover else []
    _refuse_passwords([*options, loaded.storage.journal or ""])
    client = JobClient(address)
    _tell_of_images(loaded)
    job = client.submit(["python", "-m", "evosearch", "run", sent.as_posix(), *options], parcel)
    for line in _next_steps(job, client.address):
        say(line)
    if wait:
        raise typer.Exit(client.follow(job, tell))


def _parcel(config: Path) -> tuple["Parcel", Path]:
    """What is sent, and where the configuration lies in it."""
    from evosearch.storage import default_folder
    from workers.job_client import NEVER_SENT, Parcel

    folder = Path.cwd()
    try:
        sent = (config.parent.resolve() / config.name).relative_to(folder)
    except ValueError:
        raise ConfigError(
            f"{config} lies outside {folder}, the folder that is sent; submit from a folder that holds it"
        ) from None
    kept = (default_folder(os.environ, folder), folder / os.environ.get("EVOSEARCH_DATA", "data"))
    inside = [f"/{path.relative_to(folder).as_posix()}" for path in kept if folder in path.parents]
    return Parcel(folder, (*NEVER_SENT, *inside)), sent


def _refuse_passwords(words: Sequence[str]) -> None:
    from evosearch.storage import without_password

    for word in words:
        if word != without_password(word):
            raise InputError(
                f"{without_password(word)} would hand its password to whoever may list the cluster's jobs and their "
                "files; leave it out, and set PGPASSWORD or PGPASSFILE where the head is started"
            )


def _tell_of_images(config: "RunConfig") -> None:
    if config.data.root is not None:
        tell(
            f"images are not sent: the head looks for {config.data.root!r}, a relative one under its $EVOSEARCH_DATA"
        )


def _next_steps(job: str, address: str) -> tuple[str, ...]:
    return (
        f"job {job} submitted",
        f"Follow  ray job logs --address {address} --follow {job}",
        f"Stop    ray job stop --address {address} {job}    (the same submit again goes on)",
    )


def add_to(app: typer.Typer) -> None:
    """Register the command of this file."""
    app.command()(submit)
