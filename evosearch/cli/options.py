"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

CONFIG = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="A YAML configuration, for instance configs/digits.yaml.")
]
NAME = Annotated[str, typer.Argument(metavar="NAME", help="A search.")]
SET = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a key of CONFIG, e.g. training.epochs=5; repeatable."
    ),
]
STORAGE = Annotated[
    str | None,
    typer.Option(
        "--storage", metavar="URL", help="The journal: a file or sqlite:///URL. Default: HOME/journal.db."
    ),
]
JSON = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


EXECUTOR = Annotated[
    Literal["ray", "local"] | None,
    typer.Option(
        "--executor", help="ray: a Ray cluster or a private one; local: processes of this machine, no Ray."
    ),
]
ADDRESS = Annotated[
    str | None,
    typer.Option(
        "--address", help="Ray cluster. Default: RAY_ADDRESS, else a private cluster on this machine."
    ),
]
