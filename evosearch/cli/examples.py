"""The configurations that come with the package, and the template that `init` writes of one of them."""

import importlib.resources
import shlex
from pathlib import Path
from typing import Annotated

import typer

from evosearch.cli.output import say
from evosearch.errors import ConfigError, InputError

TEMPLATE = "image_folder"
"""The example that is for a person's own pictures."""

SCHEMA_LINE = "# yaml-language-server: $schema="
"""How the first line of a configuration begins; editors read the schema's address behind it."""


def shipped_configs() -> Path:
    """The folder of the shipped configurations and of `schema.json`: in the wheel, else of the checkout."""
    package = Path(str(importlib.resources.files("evosearch")))
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def example_names() -> list[str]:
    """The names that `--example` takes, in order."""
    return sorted(file.stem for file in shipped_configs().glob("*.yaml"))


def chosen_file(config: Path | None, example: str | None) -> Path:
    """The configuration file that a command was given, as CONFIG or as `--example`.

    Raises:
        InputError: neither or both, or there is no such example.
    """
    names = example_names()
    if config is not None and example is not None:
        raise InputError(f"{config} and --example {example} name two configurations; give one of them")
    if config is not None:
        return config
    if example is None:
        raise InputError(
            f"no configuration is named; give a file (`evosearch init` writes one), or --example {'|'.join(names)}"
        )
    if example not in names:
        raise InputError(f"there is no example {example!r}; there are {', '.join(names)}")
    return shipped_configs() / f"{example}.yaml"


def template_text() -> str:
    """The template, whose first line names the schema that is installed beside this very package."""
    first, _, rest = (shipped_configs() / f"{TEMPLATE}.yaml").read_text(encoding="utf-8").partition("\n")
    address = first.removeprefix(SCHEMA_LINE)
    return f"{SCHEMA_LINE}{(shipped_configs() / address).resolve().as_uri()}\n{rest}"


FILE = Annotated[
    Path, typer.Argument(metavar="FILE", help="Where it is written; a file that exists is left as it is.")
]


def init(file: FILE = Path("evosearch.yaml")) -> None:
    """Write a configuration for your own pictures, to start from.

    Each of its keys is explained in it.
    """
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(template_text())
    except FileExistsError:
        raise ConfigError(f"{file} exists and is left as it is; name another file") from None
    except FileNotFoundError:
        raise ConfigError(f"{file.parent} is no folder that exists; make it, or name another file") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}; name another file") from None
    say(f"{file} is written")
    say("Next  write the folder of your pictures into it, as `root` under `data`, then")
    for command, what in (
        ("data", "what is read of them"),
        ("validate", "what the search would cost"),
        ("run", "the search"),
    ):
        say(
            f"      evosearch {f'{command} {shlex.quote(str(file))}':<{len(shlex.quote(str(file))) + 12}}{what}"
        )


def add_to(app: typer.Typer) -> None:
    """Register the command of this file."""
    app.command()(init)
