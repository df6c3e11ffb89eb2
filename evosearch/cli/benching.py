"""`bench`: the benchmarks."""

import re
from dataclasses import replace
from typing import Annotated

import typer

from evosearch.cli.options import JSON, Topics
from evosearch.cli.output import print_json, say_lines, tell
from evosearch.errors import InputError

MOST_SLOTS = 64
"""Each slot is a process of this machine, with each contender in turn."""

bench = typer.Typer(cls=Topics, help="Benchmarks of evosearch on this machine.")

SLOTS = Annotated[
    str | None,
    typer.Option(
        "--slots", metavar="NUMBERS", help="How many workers at once, e.g. 2,8,32,64. Default: 8,32."
    ),
]
QUICK = Annotated[
    bool, typer.Option("--quick", help="Everything once and small, within a minute; judges no target.")
]


@bench.callback()
def about() -> None:
    """Benchmarks of evosearch on this machine."""


@bench.command()
def scheduler(slots: SLOTS = None, quick: QUICK = False, as_json: JSON = False) -> None:
    """What it costs to hand out trainings; takes minutes.

    Beside plain Ray tasks and Ray Tune.
    """
    from evosearch.bench.scheduler import QUICK as SMALL
    from evosearch.bench.scheduler import Size, measure_scheduler

    size = SMALL if quick else Size()
    if slots is not None:
        size = replace(size, track=replace(size.track, slots=parse_slots(slots)))
    report = measure_scheduler(size, tell)
    if as_json:
        print_json(report.to_json())
    else:
        say_lines(report.to_markdown())


def parse_slots(text: str) -> tuple[int, ...]:
    """The numbers that `--slots` names, in its order.

    Raises:
        InputError: a part is no number from 1 to `MOST_SLOTS`.
    """
    parts = text.split(",")
    for part in parts:
        if not re.fullmatch("[0-9]{1,4}", part) or not 1 <= int(part) <= MOST_SLOTS:
            raise InputError(
                f"--slots {text}: {part!r} is no number from 1 to {MOST_SLOTS}; write for instance 2,8,32"
            )
    return tuple(map(int, parts))


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.add_typer(bench, name="bench")
