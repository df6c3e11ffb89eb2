"""`--address http://HEAD:8265`: a command that runs on the head of a cluster, where the searches of submitted jobs are."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, NoReturn, TypeGuard

import typer

from evosearch.cli.opening import JOB_SERVER
from evosearch.cli.output import pass_on, tell
from evosearch.errors import InputError

SERVER = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="URL",
        help="Run it on the head of a cluster, whose job server is http://HEAD:8265. Default: here.",
    ),
]
ADDRESS_OR_SERVER = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="Ray cluster for the workers. Default: RAY_ADDRESS, else a private cluster on this machine. "
        "http://HEAD:8265, a head's job server: the whole command runs on that head.",
    ),
]


def is_job_server(address: str | None) -> TypeGuard[str]:
    """Whether `address` is a job server's: a URL. A cluster's own is HOST:PORT."""
    return address is not None and address.startswith(("http://", "https://"))


def words_of(options: Mapping[str, str | int | bool | None]) -> list[str]:
    """Options as words of a command line; those that were not given (None, False) are left out."""
    words = []
    for option, value in options.items():
        if value is True:
            words.append(option)
        elif value is not None and value is not False:
            words += [option, str(value)]
    return words


def run_on_head(
    address: str, command: str, name: str | None, options: Mapping[str, str | int | bool | None]
) -> NoReturn:
    """Run `evosearch COMMAND NAME` on that head, print what it prints, and end with its exit status.

    Raises:
        InputError: `address` is no job server's, or the options hold a password.
        CannotRunError: nobody answers there, refuses the token, or cannot run it.
        InterruptedSearchError: it was stopped.
    """
    from evosearch.storage import without_password
    from workers.job_client import JobClient

    if not is_job_server(address):
        shown = without_password(address)
        raise InputError(f"--address {shown}: {command} asks a head's job server; give {_meant(address)}")
    words = words_of(options)
    refuse_passwords(words)
    client = JobClient(address)
    arguments = [command, *words, *(["--", name] if name is not None else [])]
    status, output = client.run(arguments, tell, {JOB_SERVER: client.address})
    as_json = options.get("--json") is True or options.get("--format") == "json"
    pass_on(output.decode(errors="surrogateescape"), as_json=as_json)
    raise typer.Exit(status)


def refuse_passwords(words: Sequence[str]) -> None:
    """See that a job's command holds none.

    Raises:
        InputError: it does.
    """
    from evosearch.storage import without_password

    for word in words:
        if word != without_password(word):
            raise InputError(
                f"{without_password(word)} would hand its password to whoever may list the cluster's jobs and their "
                "files; leave it out, and set PGPASSWORD or PGPASSFILE where the head is started"
            )


def _meant(address: str) -> str:
    """The URL that an address of another kind may stand for."""
    host = re.fullmatch(r"(?:\w+://)?([\w.-]+|\[[0-9a-fA-F:]+\]):[0-9]+/?", address)
    return f"its URL, http://{host[1] if host else 'HEAD'}:8265 (8265 unless `ray start` was given --dashboard-port)"
