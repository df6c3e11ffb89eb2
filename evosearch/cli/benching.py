"""`bench`: the benchmarks."""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from evosearch.cli.opening import opened
from evosearch.cli.options import CONFIG, EXECUTOR, JSON, SEARCH_OR_GROUP, SET, STORAGE, TAKEOVER, Topics
from evosearch.cli.output import print_json, say_lines, stopped_with, tell
from evosearch.errors import InputError

if TYPE_CHECKING:
    from evosearch.storage import Home

MOST_MINUTES = 1_000_000
"""Two years."""

MOST_SLOTS = 64
"""Each slot is a process of this machine, with each contender in turn."""

MOST_EPOCHS = 10_000_000
"""As of a training."""

BUDGETS_OF_TABLES = "50,200,810"
"""Evaluations at which the tables of `docs/benchmarks.md` judge."""

MOST_EVALUATIONS = 10_000
"""Of a search on a table; beyond this every contender has found all that it will."""

LOST = "nothing was kept, begin again"
"""What a signal ends."""

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
TABLE = Annotated[
    Path, typer.Option("--table", metavar="FILE", help="NAS-Bench-201's table of cells, as CSV.")
]
REPEATS = Annotated[
    int, typer.Option("--repeats", metavar="N", help="Searches of each contender on each data set.")
]
BUDGETS = Annotated[
    str | None,
    typer.Option(
        "--budgets",
        metavar="NUMBERS",
        help="Evaluations after which each search is judged. Default: 50,200,810. Not with --noise.",
    ),
]
TABLE_SEED = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, max=2**32 - 1, help="All chance comes from it.")
]
SIZE = Annotated[int, typer.Option("--size", metavar="32|64|224", help="Pixels of a side of the images.")]
EPOCHS = Annotated[
    int,
    typer.Option("--epochs", metavar="N", help="Of a candidate: scales what is measured, measures no more."),
]
DEVICE = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option("--device", help="What trains. auto: a GPU if there is one.")
]
GATES = Annotated[
    bool,
    typer.Option(
        "--gates", help="Only compare bf16 with fp32: long, kept in HOME, may be stopped and begun again."
    ),
]

NOISE = Annotated[
    str | None,
    typer.Option(
        "--noise",
        metavar="POINTS",
        help="Noise of each fitness, e.g. 0.5,1.5 percentage points: what are second looks worth?",
    ),
]
RUNGS = Annotated[
    str | None,
    typer.Option(
        "--epochs", metavar="NUMBERS", help="Rungs, e.g. 12,35,100. Default: 12, 35 and 100 % of its epochs."
    ),
]
KEEP = Annotated[float, typer.Option("--keep", metavar="SHARE", help="Share of a rung that goes on, 0 to 1.")]
AT_ONCE = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=1, help="Trainings at once. Default: as the search had."),
]
LOOKS = Annotated[
    str,
    typer.Option(
        "--looks", metavar="MINUTES", help="Of two cores, after each of which both sides are compared."
    ),
]
MINUTES = Annotated[
    float | None,
    typer.Option("--minutes", metavar="N", help="Stop after so many; the same command goes on."),
]
BETTER_NAME = Annotated[
    str | None, typer.Option("--name", help="Name of the group of both sides. Default: the file's stem.")
]
COPY = Annotated[
    Path | None,
    typer.Option(
        "--from", metavar="FILE", help="Go on from this copy (`evosearch backup`) where the journal lacks it."
    ),
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
    with stopped_with(LOST):
        report = measure_scheduler(size, tell)
    if as_json:
        print_json(report.to_json())
    else:
        say_lines(report.to_markdown())


@bench.command()
def strategies(
    table: TABLE,
    repeats: REPEATS = 300,
    budgets: BUDGETS = None,
    seed: TABLE_SEED = 0,
    noise: NOISE = None,
    as_json: JSON = False,
) -> None:
    """Our evolution beside others on a table of cells; a minute.

    What each cell reaches is known, so nothing is trained: mean regret over many repeats, in what is searched and in what it is
    searched for. With `--noise` our evolution alone, once and with `strategy.repeats` or `final.contenders`, there and on chromosomes whose
    fitness is made by a formula.
    """
    from evosearch.bench.luck import SEARCHED, measure_luck
    from evosearch.bench.strategies import Effort, measure_strategies

    if noise is not None:
        if budgets is not None:
            raise InputError(
                f"--budgets {budgets} with --noise {noise}: searches with noise have {SEARCHED.evaluations_in_all} evaluations "
                "each, and are judged at their end; leave --budgets out"
            )
        with stopped_with(LOST):
            drawn = measure_luck(table, Effort(repeats, seed=seed), points_of("--noise", noise), tell)
        if as_json:
            print_json(drawn.to_json())
        else:
            say_lines(drawn.to_markdown())
        return
    asked = numbers_of(
        "--budgets", BUDGETS_OF_TABLES if budgets is None else budgets, MOST_EVALUATIONS, "50,200,810"
    )
    with stopped_with(LOST):
        report = measure_strategies(table, Effort(repeats, tuple(sorted(set(asked))), seed), tell)
    if as_json:
        print_json(report.to_json())
    else:
        say_lines(report.to_markdown())


@bench.command()
def halving(
    name: SEARCH_OR_GROUP,
    epochs: RUNGS = None,
    keep: KEEP = 0.4,
    workers: AT_ONCE = None,
    as_json: JSON = False,
    storage: STORAGE = None,
) -> None:
    """What halving would have done to a finished search; seconds.

    The rungs of `strategy.halving` are applied to the whole curves that the journal has: what they would have saved, and how often the best of a
    generation would have been kept.
    """
    from evosearch.bench.halving import measure_halving

    rungs = None if epochs is None else numbers_of("--epochs", epochs, MOST_EPOCHS, "12,35,100")
    with opened(storage, reads=True) as home:
        report = measure_halving(name, home, rungs, keep, workers)
    if as_json:
        print_json(report.to_json())
    else:
        say_lines(report.to_markdown())


@bench.command()
def better(
    context: typer.Context,
    config: CONFIG,
    override: SET = None,
    name: BETTER_NAME = None,
    looks: LOOKS = "7.5,15,30,60,120,240,480",
    minutes: MINUTES = None,
    copy: COPY = None,
    as_json: JSON = False,
    executor: EXECUTOR = None,
    storage: STORAGE = None,
    takeover: TAKEOVER = False,
) -> None:
    """When a search's winner beats hand-made networks; hours.

    CONFIG is a baselines study's. At each look the search's winner, and the best of hand-made networks that had equal worker-seconds, are trained
    again from final.seeds fresh seeds and read the test split; it ends where the winner is better by two tests at .01, or with the last
    look. It may be stopped anywhere, and the same command goes on. Without --executor: processes of this machine.
    """
    from evosearch.api import Driving
    from evosearch.bench.better import measure_better
    from evosearch.cli.progress import show_progress
    from evosearch.config import read_config

    asked = minutes_of("--looks", looks)
    if minutes is not None and not 0 < minutes < MOST_MINUTES:
        raise InputError(f"--minutes {minutes:g}: it must be above 0 and below {MOST_MINUTES:,}")
    loaded, source = read_config(config, override or [], name=name)
    loaded.storage.check()
    place = loaded.storage.journal if storage is None else storage
    with opened(place, create=True) as home:
        tell(f"journal {home.journal.place}")
        if copy is not None and not home.members_of(loaded.name):
            _bring_in(copy, loaded.name, home)
        with show_progress() as watcher:
            how = Driving(
                executor=executor or "local", watcher=watcher, takeover=takeover, providers=context.obj
            )
            log = measure_better(loaded, home, asked, source=source, minutes=minutes, **how)
    if as_json:
        print_json(log.to_json())
    else:
        say_lines(log.to_markdown())


def _bring_in(file: Path, name: str, home: "Home") -> None:
    from evosearch.storage import bring_in, open_home

    with open_home(str(file), env=os.environ, cwd=Path.cwd(), create=False, reads=True) as copy:
        bring_in(home, copy, name)
    tell(f"{name!r} was brought in from {file}")


@bench.command()
def evaluate(
    size: SIZE = 32,
    epochs: EPOCHS = 100,
    device: DEVICE = "auto",
    gates: GATES = False,
    as_json: JSON = False,
) -> None:
    """Candidates an hour, beside ordinary loops; 27 minutes.

    And beside what the device could do at most. COVID-CT's images are taken from EVOSEARCH_DATA; where it is not, images are drawn.
    """
    from evosearch.bench import equivalence
    from evosearch.bench.evaluate import Effort, homes_file, measure_evaluate, measure_gates
    from evosearch.bench.image_files import covid_ct
    from evosearch.storage import home_folder

    effort = Effort(size, epochs, device)
    root, kept = covid_ct(os.environ), homes_file(home_folder(None, env=os.environ, cwd=Path.cwd()))
    if gates:
        with stopped_with("what has ended is kept, and the same command goes on"):
            found = measure_gates(effort, root, kept, tell)
        if as_json:
            print_json(found.to_json())
        else:
            say_lines(f"bf16 less fp32, {size} pixels: {found}: {'passed' if found.passed else 'FAILED'}")
        return
    with stopped_with(LOST):
        report = measure_evaluate(effort, root, (kept, equivalence.KEPT), tell)
    if as_json:
        print_json(report.to_json())
    else:
        say_lines(report.to_markdown())


def parse_slots(text: str) -> tuple[int, ...]:
    """The numbers that `--slots` names, in its order.

    Raises:
        InputError: a part is no number from 1 to `MOST_SLOTS`.
    """
    return numbers_of("--slots", text, MOST_SLOTS, "2,8,32")


def points_of(option: str, text: str) -> tuple[float, ...]:
    """The percentage points that an option names, in its order.

    Raises:
        InputError: a part is no number.
    """
    parts = text.split(",")
    for part in parts:
        if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", part):
            raise InputError(
                f"{option} {text}: {part!r} is no number of percentage points; write for instance 0.5,1.5"
            )
    return tuple(map(float, parts))


def minutes_of(option: str, text: str) -> tuple[float, ...]:
    """The minutes that an option names, which rise.

    Raises:
        InputError: a part is no number of minutes, or is not above the one before it.

    >>> minutes_of("--looks", "7.5,15")
    (7.5, 15.0)
    """
    parts = text.split(",")
    for part in parts:
        if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", part) or not float(part):
            raise InputError(f"{option} {text}: {part!r} is no number of minutes; write for instance 7.5,15")
    minutes = tuple(map(float, parts))
    if (rising := tuple(sorted(set(minutes)))) != minutes:
        raise InputError(
            f"{option} {text}: minutes rise from look to look; write {','.join(map('{:g}'.format, rising))}"
        )
    return minutes


def numbers_of(option: str, text: str, most: int, example: str) -> tuple[int, ...]:
    """The numbers that an option names, in its order.

    Raises:
        InputError: a part is no number from 1 to `most`.
    """
    parts = text.split(",")
    for part in parts:
        if not re.fullmatch("[0-9]{1,9}", part) or not 1 <= int(part) <= most:
            raise InputError(
                f"{option} {text}: {part!r} is no number from 1 to {most:,}; write for instance {example}"
            )
    return tuple(map(int, parts))


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.add_typer(bench, name="bench")
