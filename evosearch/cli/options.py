"""Options that several commands share, and the seeds of a group."""

import re
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer.core import TyperGroup

from evosearch.cli import completing
from evosearch.errors import InputError

MOST_SEEDS = 1000
"""More searches than this in one driver are a slip of the keyboard."""


class Topics(TyperGroup):
    """Commands below a command; one that is missing or unknown is answered with those there are."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override] # typer's own
        """As the base class.

        Raises:
            InputError: nothing follows, or no command of this one.
        """
        names = " or ".join(f"evosearch {self.name} {name}" for name in sorted(self.commands))
        if not ctx.resilient_parsing:
            if not args:
                raise InputError(f"`evosearch {self.name}` alone is no command; write {names}")
            if not args[0].startswith("-") and args[0] not in self.commands:
                raise InputError(f"there is no `evosearch {self.name} {args[0]}`; write {names}")
        return super().parse_args(ctx, args)


CONFIG = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML configuration.")]
CONFIG_OR_EXAMPLE = Annotated[
    Path | None,
    typer.Argument(metavar="CONFIG", help="A YAML configuration; `evosearch init` writes one to start from."),
]
EXAMPLE = Annotated[
    str | None,
    typer.Option(
        "--example",
        metavar="NAME",
        help="In place of CONFIG one that comes with evosearch, for instance digits.",
        autocompletion=completing.examples,
    ),
]
NAME = Annotated[str, typer.Argument(metavar="NAME", help="A search.", autocompletion=completing.searches)]
SEARCH_OR_GROUP = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A search, or a group: all searches NAME/...",
        autocompletion=completing.searches_and_groups,
    ),
]
SET = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a key of CONFIG, e.g. training.epochs=5; repeatable.",
        autocompletion=completing.keys,
    ),
]
WORKERS = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=1, help="Most workers; short for --set workers.count=N."),
]
STORAGE = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help="The journal: a file, or postgresql://user@host/database. Default: HOME/journal.db.",
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
TAKEOVER = Annotated[
    bool,
    typer.Option("--takeover", help="Take it over from a driver that still holds it."),
]
SEEDS = Annotated[
    str | None,
    typer.Option(
        "--seeds",
        metavar="SEEDS",
        help="A group: one search NAME/seed-N of each seed, side by side; 0..4 (both included), or 0,3,7.",
    ),
]


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds that `--seeds` names, in its order: `0..4` (both included), `0,3,7`, `5`, or `0..2,7`.

    Raises:
        InputError: a part is none of these, a range is reversed, a seed comes twice, or there are too many.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"([0-9]{1,18})(?:\.\.([0-9]{1,18}))?", part)
        if match is None:
            raise InputError(f"--seeds {text}: {part!r} is no seed; write 0..4 (both included), 0,3,7 or 5")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise InputError(f"--seeds {text}: the lower end comes first: {last}..{first}")
        if len(seeds) + last - first >= MOST_SEEDS:
            raise InputError(f"--seeds {text}: these are more than {MOST_SEEDS} seeds; take fewer")
        seeds.extend(range(first, last + 1))
    for seed in seeds:
        if seeds.count(seed) > 1:
            raise InputError(f"--seeds {text}: {seed} is there twice; name each seed once")
    return tuple(seeds)


def with_workers(overrides: list[str], workers: int | None) -> list[str]:
    """The overrides of `--set`, and `--workers` as one of them.

    Raises:
        InputError: one of them gives the number of workers already.
    """
    if workers is None:
        return overrides
    for text in overrides:
        if text.partition("=")[0] in ("workers", "workers.count"):
            raise InputError(
                f"--workers {workers} and --set {text} both say how many workers; give one of them"
            )
    return [*overrides, f"workers.count={workers}"]
