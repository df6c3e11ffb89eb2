"""What halving would have done to a finished search: its rungs, applied to the whole curves that a journal has.

Each generation is halved as it was: its members were bred from what was trained to its end, and a search with rungs would have
bred others. At a rung the accuracy of that epoch decides; at the end the fitness that the search went by.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from importlib.metadata import version
from statistics import fmean
from typing import Any, NamedTuple

from evosearch.config import config_from_json
from evosearch.errors import ConfigError, InputError
from evosearch.evaluation import Origin
from evosearch.search import EavlSettings, EvoCnnSettings, Halving, halving_of
from evosearch.storage import (
    Dispatched,
    DriverStarted,
    EvaluationRow,
    Event,
    Failed,
    Finished,
    Home,
    SearchRow,
    TestRead,
    TestReadingBegun,
    TestReadingFailed,
)

SHARES = 0.12, 0.35, 1.0
"""Rungs where none are given, of the epochs of a whole training."""

KEEP = Halving.keep
"""Where it is not given, as in a configuration."""


@dataclass(frozen=True)
class Known:
    """A candidate, and what is known of its training."""

    number: int
    """The candidate's."""
    network: str
    """Equal ones are trained once."""
    early: bool
    """It may be trained before its generation begins, to the first rung."""
    accuracies: tuple[float, ...]
    """After each epoch that it came to."""
    fitness: float | None
    """At the end; None where it failed."""
    epoch_seconds: float
    """Of one epoch."""

    def seconds(self, since: int, until: int) -> float:
        """What its epochs between two rungs take; one that fails on the way ends with the epoch that it fails in."""
        last = until if self.fitness is not None else min(until, len(self.accuracies) + 1)
        return max(0, last - since) * self.epoch_seconds

    def at(self, epoch: int, last: int) -> float | None:
        """What decides after so many epochs, of which a whole training has `last`; None where it had failed by then."""
        if epoch == last:
            return self.fitness
        return self.accuracies[epoch - 1] if len(self.accuracies) >= epoch else None


class Task(NamedTuple):
    """Something to train."""

    seconds: float
    """How long it takes."""
    early: bool
    """As in `Known`."""


Stages = Sequence[Sequence[Task]]
"""Of one generation: what is to be trained at each rung, which all wait for."""


@dataclass(frozen=True)
class HalvedGeneration:
    """A generation, as rungs would have it."""

    sizes: tuple[int, ...]
    """How many come to each rung."""
    best_kept: bool | None
    """Whether the best of all comes to the last one, or one as good; None where all failed."""
    lost: float
    """By how much the best that does is less fit than the best of all."""
    stages: Stages
    """What is trained."""
    whole: Stages
    """What was trained without rungs."""


@dataclass(frozen=True)
class HalvedSearch:
    """A search, as rungs would have it."""

    name: str
    """The search's."""
    slots: int
    """Trainings at once."""
    generations: tuple[HalvedGeneration, ...]
    """In order."""
    winner_kept: bool | None
    """Whether the fittest of all generations comes to the last rung, or one as good; None where all failed."""

    @property
    def saved_seconds(self) -> float:
        """Share of the workers' seconds."""
        return _saved(
            _total(one.stages for one in self.generations), _total(one.whole for one in self.generations)
        )

    @property
    def saved_wall(self) -> float:
        """Share of the time from beginning to end, workers' waiting at each rung included."""
        halved = wall_seconds([one.stages for one in self.generations], self.slots)
        return _saved(halved, wall_seconds([one.whole for one in self.generations], self.slots))

    @property
    def judged(self) -> list[bool]:
        """Of each generation of which somebody succeeded, whether its best is kept."""
        return [one.best_kept for one in self.generations if one.best_kept is not None]

    @property
    def lost(self) -> list[float]:
        """Of the same."""
        return [one.lost for one in self.generations if one.best_kept is not None]

    @property
    def by_chance(self) -> float:
        """How often the best of a generation would come to the last rung if each did with equal chance."""
        return fmean(one.sizes[-1] / one.sizes[0] for one in self.generations)

    def to_json(self) -> dict[str, Any]:
        """For a document."""
        return {
            "name": self.name,
            "workers": self.slots,
            "sizes": [list(one.sizes) for one in self.generations],
            "saved": {"worker_seconds": self.saved_seconds, "wall_seconds": self.saved_wall},
            "best_kept": sum(self.judged),
            "of": len(self.judged),
            "by_chance": self.by_chance,
            "lost": self.lost,
            "winner_kept": self.winner_kept,
        }


@dataclass(frozen=True)
class Report:
    """What halving would have done to some searches."""

    halving: Halving
    """The rungs."""
    searches: tuple[HalvedSearch, ...]
    """One at least."""

    def to_json(self) -> dict[str, Any]:
        """One document; `docs/benchmarks.md` has its form."""
        return {
            "evosearch": version("evosearch"),
            "halving": {"epochs": list(self.halving.epochs), "keep": self.halving.keep},
            "searches": [one.to_json() for one in self.searches],
        }

    def to_markdown(self) -> str:
        """A table, a search a row, and what all of them come to."""
        epochs = ", ".join(map(str, self.halving.epochs))
        head = (
            "search",
            "workers",
            "worker-seconds saved",
            "wall time saved",
            "best of a generation kept",
            "by chance",
            "fitness lost",
            "winner kept",
        )
        rows = [head, *map(_cells, self.searches)]
        if len(self.searches) > 1:
            rows.append(self._together())
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join(
            (
                f"evosearch {version('evosearch')}, rungs at epochs {epochs}, {self.halving.keep:g} of each go on",
                "",
                lines[0],
                "|---" * len(head) + "|",
                *lines[1:],
            )
        )

    def _together(self) -> tuple[str, ...]:
        judged = [kept for one in self.searches for kept in one.judged]
        winners = [one.winner_kept for one in self.searches if one.winner_kept is not None]
        return (
            "together",
            "",
            f"{fmean(one.saved_seconds for one in self.searches):.0%}",
            f"{fmean(one.saved_wall for one in self.searches):.0%}",
            f"{sum(judged)} of {len(judged)}",
            f"{fmean(one.by_chance for one in self.searches):.0%}",
            _lost([value for one in self.searches for value in one.lost]),
            f"{sum(winners)} of {len(winners)}",
        )


def measure_halving(
    name: str, home: Home, epochs: tuple[int, ...] | None, keep: float = KEEP, slots: int | None = None
) -> Report:
    """Apply rungs to a finished search, or to each of a group. `epochs`: None for `SHARES`; `slots`: trainings at once, None for
    as many as there were.

    Raises:
        InputError: there is none, or it is none that could be halved.
    """
    rows = [row for row in home.members_of(name) if row.parent is None] or [home.find_search(name)]
    rows = [row for row in rows if _is_generational(row)] or rows
    length = {_check(row, name) for row in rows}
    if len(length) > 1:
        raise InputError(f"{name!r} has searches of {sorted(length)} epochs; name one of them")
    (last,) = length
    if epochs is None and len(rungs_of(last)) < 2:
        raise InputError(
            f"trainings of {name!r} have {last} epoch, in which there is no place for two rungs; name a search of longer ones"
        )
    halving = _halving(epochs, keep, last)
    return Report(halving, tuple(_search(row, home, halving, slots) for row in rows))


def rungs_of(last: int) -> tuple[int, ...]:
    """`SHARES` of so many epochs, rounded; at least one epoch each.

    >>> rungs_of(100), rungs_of(20), rungs_of(3)
    ((12, 35, 100), (2, 7, 20), (1, 3))
    """
    return tuple(sorted({max(1, round(share * last)) for share in SHARES}))


def halved_generations(
    generations: Sequence[Sequence[Known]], halving: Halving
) -> tuple[HalvedGeneration, ...]:
    """What rungs make of the members that were born together, at least one in each generation."""
    with_rungs, without = dict[str, int](), dict[str, int]()
    return tuple(_halved(members, halving, with_rungs, without) for members in generations)


def _halved(
    generation: Sequence[Known], halving: Halving, with_rungs: dict[str, int], without: dict[str, int]
) -> HalvedGeneration:
    """Of one. `with_rungs`, `without`: how far each network was trained before; they are brought up to date."""
    last, alive, before = halving.epochs[-1], list(generation), 0
    whole = _trained(alive, 0, last, without, set())
    sizes, stages, own = [len(alive)], list[list[Task]](), set[int]()
    for epoch in halving.epochs:
        stages.append(_trained(alive, before, epoch, with_rungs, own))
        if epoch == last:
            break
        known = [(value, one) for one in alive if (value := one.at(epoch, last)) is not None]
        ranked = sorted(known, key=lambda pair: (-pair[0], pair[1].number))
        alive = [one for _, one in ranked[: halving.kept(len(alive))]]
        sizes.append(len(alive))
        before = epoch
    fit = [one.fitness for one in generation if one.fitness is not None]
    there = [one.fitness for one in alive if one.fitness is not None]
    lost = max(fit) - max(there, default=0.0) if fit else 0.0
    return HalvedGeneration(tuple(sizes), lost == 0 if fit else None, lost, stages, [whole])


def _trained(
    alive: Sequence[Known], since: int, until: int, trained: dict[str, int], own: set[int]
) -> list[Task]:
    """What a rung takes, of equal networks once. `own`: the numbers of those that were trained at the rung before; who was
    recalled there has no training to go on with, and begins again.
    """
    tasks = []
    for one in alive:
        if trained.get(one.network, 0) >= until:
            own.discard(one.number)
            continue
        begins = since if one.number in own else 0
        tasks.append(Task(one.seconds(begins, until), one.early))
        own.add(one.number)
        if one.fitness is not None or len(one.accuracies) >= until:  # failures are not remembered
            trained[one.network] = until
    return tasks


def wall_seconds(generations: Sequence[Stages], slots: int) -> float:
    """How long so many workers take: the longest of what waits goes first, all wait for each other at the end of a stage, and
    who idles trains early tasks of the next generation's first one.

    >>> wall_seconds([[[Task(4.0, False), Task(2.0, False)], [Task(1.0, False)]], [[Task(2.0, True)]]], 2)
    5.0
    """
    order = [(place, at) for place, stages in enumerate(generations) for at in range(len(stages))]
    waiting = {
        (place, at): sorted(generations[place][at], key=lambda task: task.seconds) for place, at in order
    }
    running, ends = Counter[tuple[int, int]](), list[tuple[float, tuple[int, int]]]()
    now, free = 0.0, slots
    for stage in order:
        ahead = waiting.get((stage[0] + 1, 0), [])
        while waiting[stage] or running[stage]:
            while free and (task := _next(waiting[stage], ahead)):
                whose, seconds = (stage if task[0] is waiting[stage] else (stage[0] + 1, 0)), task[1].seconds
                heappush(ends, (now + seconds, whose))
                running[whose] += 1
                free -= 1
            now, whose = heappop(ends)
            running[whose] -= 1
            free += 1
    return now


def _next(waiting: list[Task], ahead: list[Task]) -> tuple[list[Task], Task] | None:
    """The next task, and where it was."""
    if waiting:
        return waiting, waiting.pop()
    early = next((place for place in range(len(ahead) - 1, -1, -1) if ahead[place].early), None)
    return None if early is None else (ahead, ahead.pop(early))


def _search(row: SearchRow, home: Home, halving: Halving, slots: int | None) -> HalvedSearch:
    rows = home.journal.evaluations(row.name, with_curve=True)
    known = _known([one for one in rows if one.repeat == 0], row.name)
    generations = halved_generations(known, halving)
    best = [
        max((one.fitness for one in members if one.fitness is not None), default=-1.0) for members in known
    ]
    winners = [one.best_kept for one, fitness in zip(generations, best, strict=True) if fitness == max(best)]
    winner_kept = None if max(best) < 0 else any(winners)
    return HalvedSearch(row.name, slots or _most_at_once(home, row.name), generations, winner_kept)


def _known(rows: Sequence[EvaluationRow], name: str) -> Sequence[Sequence[Known]]:
    """What is known of each candidate, by generation. Recalled ones have the curve of the one that was trained."""
    trained = {row.chromosome: row for row in rows if not row.cached and row.curve}
    found: dict[int, list[Known]] = {}
    for row in rows:
        source = trained.get(row.chromosome, row) if row.cached else row
        if row.fitness is not None and not source.curve:
            raise InputError(
                f"candidate {row.number} of {name!r} has no curve, so nothing is known of its rungs"
            )
        accuracies = [accuracy for _, accuracy in source.curve if accuracy is not None]
        epochs = len(accuracies) + (row.fitness is None)
        one = Known(
            row.number,
            row.chromosome,
            row.origin is Origin.IMMIGRANT,
            tuple(accuracies),
            row.fitness,
            source.seconds / max(1, epochs),
        )
        found.setdefault(row.generation, []).append(one)
    return [found[generation] for generation in sorted(found)]


def _most_at_once(home: Home, name: str) -> int:
    """How many trainings of a search ran at once, at most."""
    most, running = 1, set[str]()
    for event in (one.event for one in home.journal.replay(name)):
        running = _running(running, event)
        most = max(most, len(running))
    return most


def _running(running: set[str], event: Event) -> set[str]:
    match event:
        case Dispatched(worker=worker) | TestReadingBegun(worker=worker):
            return running | {worker}
        case Finished(worker=worker) | Failed(worker=worker):
            return running - {worker}
        case TestRead(worker=worker) | TestReadingFailed(worker=worker):
            return running - {worker}
        case DriverStarted():
            return set()
        case _:
            return running


def _is_generational(row: SearchRow) -> bool:
    strategy = row.configuration.get("strategy")
    return isinstance(strategy, Mapping) and strategy.get("name") in {"eavl", "evo_cnn", "random"}


def _check(row: SearchRow, name: str) -> int:
    """See that it can be halved; the epochs of its trainings."""
    config = config_from_json(row.configuration)
    if not _is_generational(row):
        raise InputError(
            f"{row.name!r} is of the strategy {config.strategy.name}, which has no generations to halve; name a search of eavl, "
            "evo_cnn or random"
        )
    if halving_of(config.strategy) is not None:
        raise InputError(
            f"{row.name!r} was halved already, so it has no whole curves; name a search without strategy.halving"
        )
    if isinstance(config.strategy, EavlSettings | EvoCnnSettings) and config.strategy.repeats:
        raise InputError(
            f"{row.name!r} has strategy.repeats {config.strategy.repeats}, and rungs and repeats do not go together; name a search "
            "without them"
        )
    if config.training.patience is not None:
        raise InputError(
            f"{row.name!r} has training.patience {config.training.patience}, so its curves end anywhere; name another search"
        )
    if row.state != "done":
        raise InputError(f"{row.name!r} is not done yet; see `evosearch status {name}`")
    return config.training.epochs


def _halving(epochs: tuple[int, ...] | None, keep: float, last: int) -> Halving:
    rungs = rungs_of(last) if epochs is None else epochs
    if rungs[-1] != last:
        raise InputError(
            f"--epochs {','.join(map(str, rungs))}: the last rung is the whole training, which has {last} epochs here; end with it"
        )
    try:
        return Halving(rungs, keep)
    except ConfigError as error:
        text = (
            str(error)
            .replace("strategy.halving.epochs", "--epochs")
            .replace("strategy.halving.keep", "--keep")
        )
        raise InputError(text) from None


def _total(generations: Iterable[Stages]) -> float:
    return sum(task.seconds for stages in generations for stage in stages for task in stage)


def _saved(halved: float, whole: float) -> float:
    return 1 - halved / whole if whole else 0.0


def _lost(values: Sequence[float]) -> str:
    return f"{fmean(values):.4f} (at most {max(values):.4f})" if values else ""


def _cells(one: HalvedSearch) -> tuple[str, ...]:
    return (
        one.name,
        str(one.slots),
        f"{one.saved_seconds:.0%}",
        f"{one.saved_wall:.0%}",
        f"{sum(one.judged)} of {len(one.judged)}",
        f"{one.by_chance:.0%}",
        _lost(one.lost),
        {True: "yes", False: "no", None: ""}[one.winner_kept],
    )
