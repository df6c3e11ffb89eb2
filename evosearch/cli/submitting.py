"""`submit`: `run`, a study, or `retrain` as a Ray job."""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from evosearch.cli.opening import JOB_SERVER
from evosearch.cli.options import SEEDS, SET, TAKEOVER, parse_seeds
from evosearch.cli.output import say, tell
from evosearch.cli.remote import refuse_passwords, words_of
from evosearch.cli.searching import SEARCH_NAME
from evosearch.errors import ConfigError, InputError

if TYPE_CHECKING:
    from evosearch.config import RunConfig
    from workers.parcel import Parcel

HABITS = ("no job needs it", "an ignore file names it")
"""Why so much is left out everywhere that nobody need hear of it."""

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
DRY_RUN = Annotated[
    bool,
    typer.Option("--dry-run", help="List every file that would be sent, and what is left out; send nothing."),
]


WHAT = Annotated[
    Path,
    typer.Argument(
        metavar="CONFIG|retrain|batchnorm",
        help="A YAML configuration, of one search or of a study; or the command whose NAME follows.",
    ),
]
OF_SEARCH = Annotated[
    str | None, typer.Argument(metavar="NAME", help="The search on the head, of retrain and batchnorm.")
]
EPOCHS = Annotated[
    int | None, typer.Option("--epochs", metavar="N", min=1, help="Of retrain; see `evosearch retrain`.")
]
OF_A_SEARCH = ("retrain", "batchnorm")
"""Commands that are submitted with the name of a search, which is on the head already."""


def submit(
    config: WHAT,
    search: OF_SEARCH = None,
    override: SET = None,
    name: SEARCH_NAME = None,
    seeds: SEEDS = None,
    epochs: EPOCHS = None,
    address: ADDRESS = None,
    storage: STORAGE = None,
    takeover: TAKEOVER = False,
    wait: WAIT = False,
    dry_run: DRY_RUN = False,
) -> None:
    """Run a search or a study as a Ray job, in a copy of this folder.

    The same again goes on with it.
    """
    if str(config) in OF_A_SEARCH:
        given = {"--epochs": epochs, "--name": name, "--seeds": seeds, "--storage": storage}
        words = _words(str(config), search, {**given, "--takeover": takeover}, override or [])
        _submit_of_search(str(config), words, address, wait, dry_run)
        return
    if search is not None or epochs is not None:
        raise InputError(
            f"{f'NAME {search}' if search is not None else f'--epochs {epochs}'} goes with `evosearch submit retrain NAME`, "
            f"not with the configuration {config}; leave it out"
        )
    from evosearch.config import load_config
    from evosearch.storage import parse_place
    from workers.job_client import JobClient
    from workers.parcel import Parcel

    if config.exists() and not (config.is_file() or config.is_dir()):  # a named pipe can be read, once
        raise ConfigError(f"{config} is no file and so cannot be sent; write the configuration to one")
    overrides = override or []
    loaded = load_config(config, overrides, name=name)
    loaded.storage.check()
    if seeds is not None:
        parse_seeds(seeds)
    if storage is not None:
        parse_place(storage)
    options = [word for text in overrides for word in ("--set", text)]
    options += words_of({"--name": name, "--seeds": seeds, "--storage": storage, "--takeover": takeover})
    refuse_passwords([*options, loaded.storage.journal or ""])
    folder, sent = Path.cwd(), _place_in(Path.cwd(), config)
    parcel = Parcel.of(folder, _what_stays(folder, config, loaded, storage))
    parcel.check(sent)
    if dry_run:
        for line in _whole_list(parcel):
            say(line)
        return
    client = JobClient(address)
    _tell_what_is_sent(parcel, loaded)
    place = storage or loaded.storage.journal
    stays = _stays_on_head(place)
    if not stays:
        tell(f"the journal {place!r} is in the job's own copy of this folder; an absolute path outlasts it")
    does = "run" if loaded.study is None else loaded.study.kind
    command = ["python", "-P", "-m", "evosearch", does, sent.as_posix(), *options]
    job = client.submit(command, parcel, {JOB_SERVER: client.address})
    for line in _next_steps(job, client.address):
        say(line)
    grouped = seeds is not None or loaded.study is not None
    for line in _reading_steps(loaded.name, place, client.address, grouped) if stays else ():
        say(line)
    if wait:
        raise typer.Exit(client.follow(job, tell))


def _words(
    command: str, search: str | None, options: Mapping[str, str | int | bool | None], overrides: Sequence[str]
) -> list[str]:
    """The command line of one that is about a search on the head."""
    if search is None:
        raise InputError(
            f"`evosearch submit {command}` needs the search's NAME; see `evosearch {command} --help`"
        )
    wrong = {"retrain": ("--name",), "batchnorm": ("--epochs",)}[command]
    given = [one for one in wrong if options.get(one) is not None]
    given += ["--set"] if overrides and command == "retrain" else []
    if given:
        raise InputError(f"`evosearch {command}` has no option {given[0]}; leave it out")
    seeds = options.get("--seeds")
    if isinstance(seeds, str):
        parse_seeds(seeds)
    sets = [word for text in overrides for word in ("--set", text)]
    words = [command, *sets, *words_of(options), "--", search]
    refuse_passwords(words)
    return words


def _submit_of_search(
    command: str, words: Sequence[str], address: str | None, wait: bool, dry_run: bool
) -> None:
    """Submit a command that needs no file: what it is about is in the head's journal, and its images are there."""
    from workers.job_client import JobClient
    from workers.parcel import Parcel

    if dry_run:
        say(f"nothing would be sent: `evosearch {command}` takes all it needs from the head's journal")
        return
    with TemporaryDirectory(prefix="evosearch-submit-") as folder:
        Path(folder, "command.txt").write_text(f"{shlex.join(words)}\n")  # Ray sends no empty folder
        parcel = Parcel.of(Path(folder), {})
        client = JobClient(address)
        job = client.submit(["python", "-P", "-m", "evosearch", *words], parcel, {JOB_SERVER: client.address})
    for line in _next_steps(job, client.address):
        say(line)
    if wait:
        raise typer.Exit(client.follow(job, tell))


def _tell_what_is_sent(parcel: "Parcel", config: "RunConfig") -> None:
    for line in _short_list(parcel):
        tell(line)
    if (parcel.folder / "evosearch" / "__init__.py").is_file():
        tell("evosearch/ is sent, but what runs is the evosearch that is installed on the nodes")
    _tell_of_images(config)


def _place_in(folder: Path, config: Path) -> Path:
    """Where the configuration is in the folder that is sent."""
    try:
        return (config.parent.resolve() / config.name).relative_to(folder)
    except ValueError:
        raise ConfigError(
            f"{config} is outside {folder}, the folder that is sent; submit from a folder that holds it"
        ) from None


def _what_stays(folder: Path, file: Path, config: "RunConfig", storage: str | None) -> dict[Path, str]:
    """Why what is at a place is not sent, by place: searches, journals, images and files of secrets.

    Of a place that holds the folder itself only what is known to be there stays; images are never sent anyhow.
    """
    from workers.parcel import SECRET_FILE_VARIABLES

    found: dict[Path, str] = {}
    for home in _homes(folder, config, storage):
        within = (home / "cache", home / config.name) if folder.is_relative_to(home) else (home,)
        found.update(dict.fromkeys(within, "searches"))
    for journal in _journals(folder, config, storage):
        names = (f"{journal.name}{end}" for end in ("", "-wal", "-shm", "-journal", ".files"))
        found.update(dict.fromkeys(map(journal.with_name, names), "a journal"))
    for images in _images(folder, file, config):
        if not folder.is_relative_to(images):
            found[images] = "images"
    for variable in SECRET_FILE_VARIABLES:
        if value := os.environ.get(variable):
            found[folder / value] = f"${variable} names it"
    return found


def _homes(folder: Path, config: "RunConfig", storage: str | None) -> list[Path]:
    """Where searches keep their files on this machine, here or on the head."""
    from evosearch.storage import ArtifactStore, default_folder, files_folder

    homes = [default_folder(os.environ, folder)]
    homes += [files_folder(journal) for journal in _journals(folder, config, storage)]
    artifacts = config.storage.artifacts
    if artifacts and ("://" not in artifacts or artifacts.startswith(("file://", "local://"))):
        homes += [Path(ArtifactStore.of(artifacts, home).url) for home in homes]
    return [home.resolve() for home in homes]


def _journals(folder: Path, config: "RunConfig", storage: str | None) -> list[Path]:
    from evosearch.storage import parse_place

    places = [parse_place(place) for place in (config.storage.journal, storage) if place]
    return [(folder / place).resolve() for place in places if isinstance(place, Path)]


def _images(folder: Path, file: Path, config: "RunConfig") -> list[Path]:
    """Where images may be: wherever `data.root` can be looked for, and all under $EVOSEARCH_DATA."""
    from evosearch.storage import user_path

    data = folder / user_path(os.environ.get("EVOSEARCH_DATA") or "data")
    roots = [user_path(given) for given in _roots(config)] or [data]
    places = (place for root in roots for place in (data / root, folder / root, file.parent / root))
    return [place.resolve() for place in (data, *places)]


def _roots(config: "RunConfig") -> list[str]:
    """Where the images are, as far as they are on a disk."""
    from evosearch.data import RootKeys, sources_in

    return [one.root for one in sources_in(config.data) if isinstance(one, RootKeys)]


def _whole_list(parcel: "Parcel") -> list[str]:
    from workers.parcel import shown

    files = [f"{_bytes(size):>9}  {shown(path)}" for path, size in sorted(parcel.files.items())]
    left_out = [f"left out   {shown(path)}: {why}" for path, why in sorted(parcel.left_out.items())]
    return [*files, *left_out, f"nothing is sent now; from {parcel.folder} would be {_sum(parcel)}"]


def _short_list(parcel: "Parcel") -> list[str]:
    """How much is sent, the ten largest files, and how much is left out for a reason that is no habit."""
    from workers.parcel import shown

    files = [f"{_bytes(size):>9}  {shown(path)}" for path, size in parcel.largest(10)]
    by_reason: dict[str, list[Path]] = {}
    for path, why in sorted(parcel.left_out.items()):
        by_reason.setdefault(why.partition(" (")[0], []).append(path)
    left_out = [
        f"left out   {shown(paths[0])}{f' and {len(paths) - 1} more' if paths[1:] else ''}: {why}"
        for why, paths in by_reason.items()
        if not why.startswith(HABITS)
    ]
    head = f"sent from {parcel.folder}: {_sum(parcel)}; the largest:"
    return [head, *files, *left_out, "(--dry-run lists all)"]


def _sum(parcel: "Parcel") -> str:
    from evosearch.reports import counted

    return f"{counted(len(parcel.files), 'file')}, {_bytes(parcel.size)}"


def _bytes(size: int) -> str:
    if size < 1024:
        return f"{size} B"
    return f"{size / 2**10:.1f} KiB" if size < 2**20 else f"{size / 2**20:.1f} MiB"


def _tell_of_images(config: "RunConfig") -> None:
    if roots := _roots(config):
        named = " and ".join(map(repr, roots))
        tell(f"images are not sent: the head looks for {named}, a relative one under its $EVOSEARCH_DATA")


def _stays_on_head(journal: str | None) -> bool:
    """Whether later jobs find the journal: a relative path is in a folder that changes with every edit."""
    from evosearch.storage import parse_place

    place = None if journal is None else parse_place(journal)
    return not isinstance(place, Path) or place.expanduser().is_absolute()


def _next_steps(job: str, address: str) -> tuple[str, ...]:
    server = f"--address {shlex.quote(address)}"
    return (
        f"job {job} submitted",
        f"Follow   ray job logs {server} --follow {job}",
        f"Stop     ray job stop {server} {job}    (the same submit again goes on)",
    )


def _reading_steps(name: str, journal: str | None, address: str, is_group: bool) -> list[str]:
    """The commands that reach the search on the head from this machine."""
    where = shlex.join([name, *words_of({"--storage": journal, "--address": address})])
    commands = ("status", "results") if is_group else ("status", "results", "retrain")
    return [f"{command.capitalize():<9}evosearch {command} {where}" for command in commands]


def add_to(app: typer.Typer) -> None:
    """Register the command of this file."""
    app.command()(submit)
