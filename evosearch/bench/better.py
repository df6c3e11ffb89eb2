"""How long a search takes until its winner beats the best hand-made network, in worker-seconds.

It is looked at growing budgets. At each *look* stand two sides: the search, as far as its generations have come, and hand-made
networks, which were given the same worker-seconds as trainings with other learning rates. The best of each side, by validation,
is trained again from some fresh seeds, and each of these networks reads the test split once.

Sides are searches and retrainings like all others, and everything that a look says is read from their journal: so it is killed
and begun again anywhere, and a copy of the journal goes on elsewhere.
"""

import json
import math
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Unpack

import numpy as np

from evosearch.beginning import begun, note_all
from evosearch.bench.better_report import CORES, Compared, Log, Look, Position, Side, compare_sides, draw_log
from evosearch.config import Document, RunConfig, check_new
from evosearch.driving import drive_searches
from evosearch.errors import (
    CannotRunError,
    ConfigError,
    InputError,
    InterruptedSearchError,
    TooManyFailuresError,
)
from evosearch.genome import parse_network
from evosearch.providers import DriveOptions, Driving
from evosearch.reports import duration
from evosearch.retraining import retrain
from evosearch.runtime import DriverState, Plan, Silence, Watchers
from evosearch.search import (
    EavlSettings,
    EvoCnnSettings,
    FixedListSettings,
    ListedTrial,
    StrategySettings,
    measure_of,
)
from evosearch.session import SearchSession, artifact_store, bring_back_lost, configuration_of
from evosearch.storage import EvaluationRow, Event, Home, LiveCurve, SearchRow, TestReading
from evosearch.studies import (
    EVOLVED,
    BaselinesStudy,
    final_name,
    hardware_of,
    is_text,
    learning_rates,
    lengthened,
    predictions_of,
)

HAND_MADE = "hand-made"
"""What the list of hand-made networks is called beside `EVOLVED`, the search."""

LOOKS = (7.5, 15.0, 30.0, 60.0, 120.0, 240.0, 480.0)
"""Minutes of two cores after which it is looked, where none are given."""

RATES = 16
"""Learning rates of each hand-made network; what is left then trains the same again from other seeds, whose mean decides."""

CAUTION = 2.0
"""A side is driven on by what its dearest step so far says that half of what is left pays for, so that it hardly ever goes on beyond
a look."""

STRETCH = 0.1
"""Of a look's worker-seconds is driven on at once where so many are left, by what a step costs on average: each start of workers takes
seconds, and small networks' generations less."""

_RESUME = re.compile(r"`evosearch resume [^`]*` goes on")
"""What a driver says of the side that it drove: to go on with that alone brings no look nearer."""

FEWEST = 2
"""Networks of a side that a test needs."""


def worker_seconds(looks: Sequence[float]) -> tuple[float, ...]:
    """Looks in minutes as worker-seconds, each once, in order.

    >>> worker_seconds([15, 7.5])
    (900.0, 1800.0)
    """
    return tuple(sorted({60.0 * CORES * minutes for minutes in looks}))


def trials_of(study: BaselinesStudy, config: RunConfig, count: int) -> tuple[ListedTrial, ...]:
    """The first so many trainings of hand-made networks: each network in turn, at one learning rate after the other."""
    names = [str(parse_network(one.network)) for one in study.entries if one.network != EVOLVED]
    rates = learning_rates(config.training.learning_rate, RATES)
    return tuple(
        ListedTrial(
            names[place % len(names)],
            place // len(names) // RATES,
            replace(config.training, learning_rate=rates[place // len(names) % RATES]),
        )
        for place in range(count)
    )


def positions_of_generations(rows: Sequence[EvaluationRow], complete: int, rate: float) -> list[Position]:
    """Where a search stood as each of its first `complete` generations ended; nowhere before anything succeeded."""
    found = []
    for generation in range(complete):
        so_far = [one for one in rows if one.generation <= generation]
        known = [(one.fitness, -one.candidate, one.chromosome) for one in so_far if one.fitness is not None]
        if known:
            _, number, network = max(known)
            seconds = sum(one.seconds for one in so_far)
            found.append(Position(seconds, len(so_far), generation + 1, -number, network, rate))
    return found


def positions_of_list(rows: Sequence[EvaluationRow], trials: Sequence[ListedTrial]) -> list[Position]:
    """Where a list stood as each of its trainings ended, before the first that has not; nowhere before anything succeeded."""
    found, fitness, first, seconds = list[Position](), dict[int, list[float]](), dict[int, int](), 0.0
    for place, row in enumerate(rows):
        if row.status not in ("done", "failed"):
            break
        seconds += row.seconds
        first.setdefault(row.candidate, place)
        if row.fitness is not None:
            fitness.setdefault(row.candidate, []).append(row.fitness)
        if fitness:
            best = max(fitness, key=lambda one: (fmean(fitness[one]), -one))
            listed = trials[first[best]]
            rate = listed.settings.learning_rate if listed.settings else 0.0
            found.append(Position(seconds, place + 1, 1, best, listed.network, rate))
    return found


def steps_until(due: float, seconds: Sequence[float], least: int = 1) -> int:
    """How many more steps are hardly too many until `due`; `seconds`: that had passed as each step so far ended.

    >>> steps_until(100.0, [10.0, 18.0, 30.0]), steps_until(31.0, [10.0, 18.0, 30.0])
    (2, 1)
    >>> steps_until(1000.0, [10.0, 400.0, 999.0]), steps_until(1000.0, [float(n) for n in range(10, 961)])
    (1, 40)
    """
    dearest = max((after - before for before, after in pairwise((0.0, *seconds))), default=0.0)
    left = due - (seconds[-1] if seconds else 0.0)
    if not dearest:
        return least
    stretch = math.ceil(min(left, STRETCH * due) * len(seconds) / seconds[-1])
    return max(least, int(left / (CAUTION * dearest)), stretch)


class Deadline(Silence):
    """A watcher that stops its driver, as SIGTERM would, at the first training that ends after so many seconds; None: never."""

    def __init__(self, seconds: float | None, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._end = None if seconds is None else clock() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the time has come."""
        return self._end is not None and self._clock() >= self._end

    def observe(self, plan: Plan, state: DriverState, facts: Sequence[Event]) -> None:  # noqa: ARG002 - the protocol's names
        """Look at the clock."""
        self._look()

    def follow(self, plan: Plan, curves: Sequence[LiveCurve]) -> None:  # noqa: ARG002 - likewise
        """Look at the clock."""
        self._look()

    def _look(self) -> None:
        if self.is_over and callable(
            signal.getsignal(signal.SIGTERM)
        ):  # the driver's; else nobody would catch it
            signal.raise_signal(signal.SIGTERM)


@dataclass(frozen=True)
class _Race:
    """The two sides in their home. Nothing is remembered between two questions: the journal is asked."""

    config: RunConfig
    home: Home
    options: DriveOptions
    study: BaselinesStudy
    budgets: tuple[float, ...]
    how: Driving
    source: Document | None = None

    @property
    def seeds(self) -> range:
        return range(1, self.config.final.seeds + 1)

    def name(self, side: str) -> str:
        return f"{self.config.name}/{side}"

    def final(self, side: str) -> str:
        """Name of the search of its retrainings."""
        return final_name(self.name(side), self.config.final.epochs)

    def row(self, side: str) -> SearchRow | None:
        return self.home.journal.find(self.name(side))

    # Reading.

    def looks(self) -> tuple[Look, ...]:
        """Those that are whole, up to the first that ends it all."""
        found = list[Look]()
        for budget in self.budgets:
            if (look := self.look(budget)) is None:
                break
            found.append(look)
            if look.compared.is_reached:
                break
        return tuple(found)

    def look(self, budget: float) -> Look | None:
        evolved = self.standing(EVOLVED, budget)
        hand_made = None if evolved is None else self.standing(HAND_MADE, evolved.seconds)
        if evolved is None or hand_made is None:
            return None
        sides = self.side(EVOLVED, evolved), self.side(HAND_MADE, hand_made)
        return Look(budget, *sides, self.compared(*sides))

    def standing(self, side: str, due: float) -> Position | None:
        """The first position after so many worker-seconds whose best was trained again; None: there is none yet."""
        positions = self.positions(side)
        return next((one for one in positions if one.seconds >= due and self.is_retrained(side, one)), None)

    def positions(self, side: str) -> list[Position]:
        row = self.row(side)
        if row is None:
            return []
        rows, config = self.home.journal.evaluations(row.name), configuration_of(row)
        if isinstance(config.strategy, FixedListSettings):
            return positions_of_list(rows, config.strategy.trials)
        complete = row.generation + (row.state == "done")
        return positions_of_generations(rows, complete, config.training.learning_rate)

    def retrainings(self, side: str, candidate: int) -> list[EvaluationRow]:
        """What was trained of a candidate again; others may have trained it from further seeds."""
        row = self.home.journal.find(self.final(side))
        if row is None:
            return []
        strategy = configuration_of(row).strategy
        trials = strategy.trials if isinstance(strategy, FixedListSettings) else ()
        rows = self.home.journal.evaluations(row.name)
        return [one for one in rows if trials[one.number].source == candidate and one.repeat in self.seeds]

    def readings(self, side: str, candidate: int) -> tuple[TestReading, ...]:
        """By these networks, by key."""
        trials = {one.number for one in self.retrainings(side, candidate)}
        known = self.home.journal.test_readings(self.name(side))
        own = [one for one in known if one.search == self.final(side) and one.trial in trials]
        return tuple(sorted((one for one in own if one.metrics is not None), key=lambda one: one.key))

    def is_retrained(self, side: str, position: Position) -> bool:
        """Whether its best was trained from each seed, and each network that came of it has read the test split."""
        rows = self.retrainings(side, position.candidate)
        ended = {one.repeat for one in rows if one.status in ("done", "failed")}
        done = sum(one.status == "done" for one in rows)
        return ended >= {*self.seeds} and len(self.readings(side, position.candidate)) == done >= FEWEST

    def side(self, side: str, position: Position) -> Side:
        rows, readings = (
            self.retrainings(side, position.candidate),
            self.readings(side, position.candidate),
        )
        figures = [one.metrics or {} for one in readings]
        return Side(
            position,
            tuple(float(one["accuracy"]) for one in figures),
            tuple(one["auroc"] for one in figures),
            sum(one.seconds for one in rows),
            sum(one.status == "failed" for one in rows),
        )

    def compared(self, evolved: Side, hand_made: Side) -> Compared:
        """By the answers of both sides' median networks, too."""
        correct = []
        for name, side in ((EVOLVED, evolved), (HAND_MADE, hand_made)):
            reading = self.readings(name, side.position.candidate)[side.median]
            if (answers := predictions_of(self.home, reading)) is None:
                raise InputError(
                    f"the answers of {reading.key} of {self.name(name)!r} were not kept; take another --name"
                )
            correct.append((answers.predicted == answers.labels).astype(np.int64))
        return compare_sides(evolved, hand_made, correct[0] - correct[1])

    def log(self) -> Log:
        looks, names = self.looks(), [self.name(one) for one in (EVOLVED, HAND_MADE)]
        there = [one for one in names if self.home.journal.find(one) is not None]
        readings = [one for name in there for one in self.home.journal.test_readings(name)]
        final = self.config.final.epochs
        log = Log(
            self.config.name,
            looks,
            self.budgets,
            hardware_of(self.home, there, final),
            len(readings),
            sum(one.metrics is None for one in readings),
            (self.config.training.epochs, final, len(self.seeds)),
        )
        if log.state != "unfinished":  # a killed driver may have left a list unfinished that is long enough
            return log
        return replace(log, now=tuple((one, self.positions(one)[-1:]) for one in (EVOLVED, HAND_MADE)))

    # Training.

    def go_on(self, budget: float) -> None:
        """One thing nearer to the look at `budget`, of which something is missing."""
        self._check_data()
        for side in (EVOLVED, HAND_MADE):
            if self.standing(side, due := self.due(side, budget)) is None:
                return self._go_on(side, due)
        return None

    def due(self, side: str, budget: float) -> float:
        """Worker-seconds of a side at the look at `budget`: the list is given what the search took."""
        evolved = None if side == EVOLVED else self.standing(EVOLVED, budget)
        return budget if evolved is None else evolved.seconds

    def _go_on(self, side: str, due: float) -> None:
        row, positions = self.row(side), self.positions(side)
        note = self.options.watcher.note
        if row is None or row.state != "done" or not positions or positions[-1].seconds < due:
            seconds = positions[-1].seconds if positions else 0.0
            note(f"{self.name(side)}: {duration(seconds)} of workers of {duration(due)} before the next look")
            self._extend(side, row, due, [one.seconds for one in positions])
            return
        note(f"{self.name(side)}: {duration(positions[-1].seconds)} of workers, now its best again")
        try:
            retrain(row.name, self.home, seeds=self.seeds, **self.how)
        except TooManyFailuresError:  # some may diverge for good: those that do not are compared
            if not self.is_retrained(side, positions[-1]):
                raise
        if not self.is_retrained(side, positions[-1]):
            raise AssertionError(
                f"what was retrained of {row.name!r} is not its candidate {positions[-1].candidate}"
            )

    def _extend(self, side: str, row: SearchRow | None, due: float, passed: Sequence[float]) -> None:
        """Drive what is unfinished to its end, else some generations or trainings on."""
        unfinished, total = row is not None and row.state != "done", None
        if side == EVOLVED:
            strategy = self._begins if row is None else configuration_of(row).strategy
            if row is not None and not unfinished:
                total = row.generations + steps_until(due, passed)
        else:
            there = 0 if row is None else sum(row.counts.values())
            more = 0 if unfinished else steps_until(due, passed, len(self.study.entries) - 1)
            strategy = self._listed(row, there + more)
        drive_searches([self._session(side, row, strategy)], total)

    def _session(self, side: str, row: SearchRow | None, strategy: StrategySettings) -> SearchSession:
        """A side, new or as it was left; what may change is the file's."""
        own = replace(self.config, name=self.name(side), study=None, strategy=strategy)
        if row is None:
            return begun(own, self.home, self.options, self.source if side == EVOLVED else None)
        kept = configuration_of(row)
        config = replace(own, seed=kept.seed, space=kept.space, training=kept.training)
        return SearchSession(self.home, config, row, self.options)

    @property
    def _begins(self) -> StrategySettings:
        """How the search begins: with a single generation, so that no look is passed."""
        return evolution_of(self.config).with_generations(1)

    def _listed(self, row: SearchRow | None, count: int) -> FixedListSettings:
        """The list, with so many trainings."""
        known = None if row is None else configuration_of(row).strategy
        before = known if isinstance(known, FixedListSettings) else None
        return lengthened(before, trials_of(self.study, self.config, count), measure_of(self.config.strategy))

    def check(self) -> None:
        """See that what was begun under this name was begun so.

        Raises:
            SearchConflictError: the search was begun with another configuration.
            InputError: the list was, or networks were trained otherwise in the end, or both sides have other images.
        """
        if (row := self.row(EVOLVED)) is not None:
            if configuration_of(row).final != self.config.final:
                raise InputError(
                    f"{row.name!r} was begun with another section final, on which its looks rest; take that, or another --name"
                )
            own = replace(self.config, name=self.name(EVOLVED), study=None, strategy=self._begins)
            begun(own, self.home, self.options, self.source)
        if (row := self.row(HAND_MADE)) is None:
            return
        listed = configuration_of(row).strategy
        known = listed.trials if isinstance(listed, FixedListSettings) else ()
        if known != trials_of(self.study, self.config, len(known)):
            raise InputError(
                f"{row.name!r} was begun with other networks or another training than study.networks and training say; take "
                "these, or another --name"
            )
        self._check_data()

    def _check_data(self) -> None:
        """See that both sides were begun on the same images: each of them alone remembers its own."""
        rows = [row for side in (EVOLVED, HAND_MADE) if (row := self.row(side))]
        if len({row.data_key for row in rows}) > 1:
            raise InputError(
                f"{rows[1].name!r} was begun on other images than {rows[0].name!r}: section data was changed between them; "
                f"`evosearch delete {rows[1].name}` removes it"
            )

    def leave(self) -> Log:
        """The log as it stands, also as files in the folder of both sides; what hinders them is a note."""
        log = self.log()
        store = artifact_store(self.home, self.config).within(self.config.name)
        try:
            store.write_bytes("better.md", f"{log.to_markdown()}\n".encode())
            store.write_bytes("better.json", json.dumps(log.to_json(), indent=2).encode())
            if log.looks:
                with TemporaryDirectory(prefix="evosearch-better-") as folder:
                    draw_log(log, picture := Path(folder, "better.png"))
                    store.put(picture, picture.name)
        except (OSError, CannotRunError) as error:
            self.options.watcher.note(f"the log could not be written: {error}")
        return log


def measure_better(
    config: RunConfig,
    home: Home,
    looks: Sequence[float] = LOOKS,
    *,
    source: Document | None = None,
    minutes: float | None = None,
    **how: Unpack[Driving],
) -> Log:
    """Search, train and look until the search's winner is better beyond chance, or the last look has been; or go on with that.

    Args:
        config: a baselines study's; its `study.networks` says which hand-made networks.
        home: where the journal lies.
        looks: minutes of two cores after which it is looked.
        source: what `config` was read from, as in `evosearch.api.run`.
        minutes: after which it stops, to go on another time; None: never.
        how: as in `evosearch.api.run`.

    Returns: the log, whole or as far as it has come.

    Raises:
        ConfigError: the configuration is none of which this can be measured.
        EvosearchError: as `evosearch.api.run` and `evosearch.api.retrain`.
    """
    study = study_of(config, source)
    options = DriveOptions.of(**how)
    note_all(source, options)
    if source is not None and source.values["study"].get("given") == "once":
        options.watcher.note(
            "study.given is once, which does not count here: hand-made networks are given the worker-seconds of the search"
        )
    bring_back_lost(config, home, options)
    deadline = Deadline(None if minutes is None else 60 * minutes, options.providers.monotonic)
    how["watcher"] = Watchers(options.watcher, deadline)
    race = _Race(config, home, DriveOptions.of(**how), study, worker_seconds(looks), how, source)
    race.check()
    try:
        for budget in race.budgets:
            while (look := race.look(budget)) is None and not deadline.is_over:
                race.go_on(budget)
            race.leave()
            if look is None or look.compared.is_reached:
                break
    except InterruptedSearchError as error:
        if not deadline.is_over:
            raise InterruptedSearchError(_RESUME.sub("the same command goes on", str(error))) from None
    return race.leave()


def evolution_of(config: RunConfig) -> EavlSettings | EvoCnnSettings:
    """The strategy of a configuration, which has generations.

    Raises:
        ConfigError: it has none.
    """
    if not isinstance(config.strategy, EavlSettings | EvoCnnSettings):
        raise ConfigError(
            f"strategy.name is {config.strategy.name!r}, which cannot be extended by generations; take 'eavl'"
        )
    return config.strategy


def study_of(config: RunConfig, source: Document | None = None) -> BaselinesStudy:
    """The section `study` of a configuration that this can be measured of.

    Raises:
        ConfigError: it has another one or none, or keys by which the best of a side is more than its fitness.
    """
    evolution_of(config)
    study = config.study
    if not isinstance(study, BaselinesStudy):
        found = "no section study" if study is None else f"a section study of the kind {study.kind}"
        raise ConfigError(
            f"{config.name!r} has {found}; give `study: {{kind: baselines, networks: [evolved, squeezenet1_1]}}`"
        )
    names = [one.network for one in study.entries]
    if names.count(EVOLVED) != 1 or len(names) < FEWEST:
        raise ConfigError(
            f"study.networks is {', '.join(names)}; give {EVOLVED} once, and one hand-made network at least"
        )
    for one in study.entries:
        if one.network != EVOLVED and (one.weights is not None or not is_text(one.network)):
            raise ConfigError(
                f"study.networks has {one.network!r}{' with weights' if one.weights else ''}; name networks that start from random "
                "weights, for instance squeezenet1_1"
            )
    if config.final.seeds < FEWEST:
        raise ConfigError(f"final.seeds is {config.final.seeds}; a test needs {FEWEST} at least, take 5")
    check_new(config, source)
    return study
