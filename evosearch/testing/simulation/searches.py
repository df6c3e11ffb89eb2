"""What is searched, and what a training comes to: a chain of numbers in the place of weights, one for each epoch."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from typing import Any

import numpy as np

from evosearch.blueprint import ImageShape, Problem
from evosearch.evaluation import (
    Failure,
    FailureKind,
    Outcome,
    Prediction,
    PredictionTask,
    Success,
    TrainingSettings,
    TrainingTask,
    Trial,
)
from evosearch.genome import Chromosome, SearchSpace
from evosearch.runtime import Plan, ReadingName
from evosearch.search import (
    EavlSettings,
    EvolutionKeys,
    FixedListSettings,
    Halving,
    ListedTrial,
    RandomSearchSettings,
    SearchContext,
    StrategySettings,
    halving_of,
)
from evosearch.storage import pack
from evosearch.testing.strategies import LaggedStrategy

EPOCHS, FINAL_EPOCHS = 4, 12
"""Of a candidate's training, and of a retraining's."""

RUNGS = ((1, 2, EPOCHS), (2, EPOCHS))
"""Where there is halving, one of these."""

SPACES = (
    SearchSpace(convolutions=(1, 4), channels=(4, 8), poolings=(0, 2), dense=(1, 2), units=(4, 8)),
    # of a few dozen networks, so that equal ones turn up again and again
    SearchSpace(convolutions=(1, 2), channels=(4, 5), poolings=(0, 1), dense=(1, 1), units=(4, 5)),
)

FLAWS = (FailureKind.DIVERGED, FailureKind.OUT_OF_MEMORY, FailureKind.TIMED_OUT)
"""What a training may fail of whatever happens; these never stop a search."""

ANEW = (0, 0)
"""A training that begins: after no epoch, with no weights yet."""


@dataclass(frozen=True)
class Lagged:
    """Settings of `LaggedStrategy`, which knows no generations."""

    evaluations: int
    slots: int
    generations: int = 1

    def make(self, context: SearchContext) -> LaggedStrategy:
        """The strategy."""
        return LaggedStrategy(self.evaluations, self.slots, context.seed)

    def with_generations(self, _: int) -> "Lagged":
        """Itself."""
        return self


@dataclass(frozen=True)
class Configuration:
    """Searches that share a pool, and how they would end undisturbed.

    `seeds`: one search each. `flawed`: share of the trainings that always fail, of `FLAWS`. `broken`: whether one of the
    first population raises an error each time.
    """

    settings: StrategySettings | Lagged
    space: SearchSpace
    seeds: tuple[int, ...]
    flawed: float
    broken: bool

    @classmethod
    def of(cls, number: int) -> "Configuration":
        """The configuration of a number, from 0."""
        return _configuration_of(number)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the searches."""
        return tuple(f"simulated/seed-{seed}" for seed in self.seeds)

    @property
    def elites(self) -> int:
        """How many members of a generation were born before it."""
        return self.settings.elites if isinstance(self.settings, EvolutionKeys) else 0

    @property
    def halving(self) -> Halving | None:
        """At which epochs trainings wait for each other."""
        return halving_of(self.settings)

    @property
    def repeats(self) -> bool:
        """Whether some candidates are trained again."""
        return isinstance(self.settings, EvolutionKeys) and self.settings.repeats > 0

    @property
    def grows(self) -> bool:
        """Whether a generation that has begun may still grow."""
        return isinstance(self.settings, Lagged)

    def context(self, search: str, epochs: int = EPOCHS) -> SearchContext:
        """What a search, or the retraining of its best, is made in."""
        seed = next(
            seed for seed, name in zip(self.seeds, self.names, strict=True) if search.startswith(name)
        )
        training = TrainingSettings(epochs=epochs)
        return SearchContext(self.space, Problem(ImageShape(1, 8, 8), 2), training, seed)

    def evaluate(self, search: str, task: TrainingTask, chain: int) -> Outcome:
        """What a training comes to that has gone through all of its epochs: the same whenever and wherever that was."""
        if search in self.names and task.network == self._broken_network(search):
            return Failure(FailureKind.ERROR, "ValueError: a layer that this version cannot build", 0.1)
        rung = "" if task.until is None else f" {task.until}"
        luck = zlib.crc32(f"{task.network} {task.seed}{rung}".encode()) % 1000
        if luck < 1000 * self.flawed:
            return Failure(FLAWS[luck % len(FLAWS)], "a flaw of the network", 0.1)
        genes = len(task.network.head) + len(task.network.tail) if isinstance(task.network, Chromosome) else 0
        return Success(0.5 * min(genes, 10) / 10 + 0.5 * chain / 2**32, 0.1 + luck / 1000)

    def _broken_network(self, search: str) -> object:
        return _first_of(self, search) if self.broken else None


def trained_on(task: TrainingTask, since: tuple[int, int], epochs: int) -> tuple[int, int]:
    """The state of a training after `epochs` epochs that was in the state `since`: how many, and the chain."""
    epoch, chain = since
    for number in range(epoch + 1, epochs + 1):
        chain = zlib.crc32(f"{task.network} {task.seed} {number}".encode(), chain)
    return epochs, chain


@lru_cache(maxsize=8)
def _configuration_of(number: int) -> Configuration:
    chance = Random(f"configuration {number}")
    population = chance.randint(3, 7)
    elites = chance.randint(0, population - 2)
    settings: StrategySettings | Lagged = EavlSettings(
        population=population,
        generations=chance.choice([2, 3, 3, 4]),
        elites=elites,
        immigrants=chance.choice([chance.randint(0, population - elites), population - elites]),
        crossover_probability=chance.choice([0.2, 0.9]),
        phi=chance.choice([1, 1, 2, 4]),
    )
    kind = chance.random()
    if kind < 0.1:
        settings = RandomSearchSettings(evaluations=chance.randint(4, 10))
    elif kind < 0.2:
        settings = Lagged(evaluations=chance.randint(4, 12), slots=chance.randint(1, 4))
    space = SPACES[chance.random() < 0.4]
    first = 100 * number
    found = Configuration(
        settings,
        space,
        seeds=(first, first + 1) if chance.random() < 0.2 else (first,),
        flawed=chance.choice([0.0, 0.0, 0.1, 0.3]),
        broken=kind >= 0.2 and population > 3 and space is SPACES[0] and chance.random() < 0.3,
    )
    kind = chance.random()
    return _halved(found, chance) if kind < 0.3 else _repeated(found, chance) if kind < 0.5 else found


def _halved(configuration: Configuration, chance: Random) -> Configuration:
    """The same with rungs, where its strategy may have them."""
    settings = configuration.settings
    if not isinstance(settings, EavlSettings):
        return configuration
    halving = Halving(chance.choice(RUNGS), chance.choice([0.3, 0.5, 0.8]))
    return replace(configuration, settings=replace(settings, halving=halving))


def _repeated(configuration: Configuration, chance: Random) -> Configuration:
    """The same with trainings in the place of immigrants, where its strategy may have them."""
    settings = configuration.settings
    if not isinstance(settings, EavlSettings):
        return configuration
    return replace(configuration, settings=replace(settings, repeats=chance.randint(0, settings.immigrants)))


@lru_cache(maxsize=8)
def _first_of(configuration: Configuration, search: str) -> object:
    plan = plan_of(configuration, search, 1)
    return plan.strategy.ask(plan.strategy.start())[1].subject


@lru_cache(maxsize=64)
def plan_of(configuration: Configuration, search: str, generations: int) -> Plan:
    """A search of `configuration`, with so many generations in all."""
    context, settings = configuration.context(search), configuration.settings.with_generations(generations)
    return Plan(search, settings.make(context), context, "data", halving=configuration.halving)


@lru_cache(maxsize=64)
def final_plan_of(
    configuration: Configuration, search: str, best: tuple[int, str], repeats: int, *, shared: bool
) -> Plan:
    """The retraining of the candidate `best`, its number and network, so many times. `shared`: as `SplitReader.shared`."""
    context = configuration.context(search, FINAL_EPOCHS)
    number, network = best
    listed = tuple(ListedTrial(network, repeat, source=number) for repeat in range(1, repeats + 1))
    return Plan(
        search, FixedListSettings(trials=listed).make(context), context, "data", _Reader(number, shared)
    )


@dataclass(frozen=True)
class _Reader:
    """A `SplitReader` of three images, which tells from what state of the training it was read."""

    number: int
    shared: bool

    def name(self, plan: Plan, trial: Trial) -> ReadingName:
        epochs, seed = plan.settings(trial).epochs, plan.seed(trial)
        return ReadingName(f"epochs-{epochs}-seed-{seed}", self.number, epochs, seed)

    def weights(self, plan: Plan, trial: Trial, term: int, attempt: int) -> str:
        return f"{self.name(plan, trial).key}/term-{term}-attempt-{attempt}"

    def place(self, weights: str) -> str:
        return weights

    def task(self, plan: Plan, trial: Trial, weights: str) -> PredictionTask:
        if not isinstance(trial.subject, Chromosome):
            raise TypeError(f"'{trial.subject}' cannot be read with")
        images = np.zeros((3, 1, 8, 8), np.uint8)
        return PredictionTask(trial.subject, plan.settings(trial), plan.data_key, weights, images)

    def measure(
        self, plan: Plan, trial: Trial, trained: Success, prediction: Prediction
    ) -> Mapping[str, Any]:
        told = {"validation": trained.fitness, "test": float(prediction.probabilities[0, 0])}
        return {**told, "seed": plan.seed(trial)}

    def keep(self, _plan: Plan, _trial: Trial, prediction: Prediction) -> Mapping[str, Any]:
        return pack(np.zeros(3, np.int64), prediction)

    @property
    def test_key(self) -> str:
        return "test"


def prediction_of(chain: int) -> Prediction:
    """What weights in this state predict."""
    share = chain / 2**32
    return Prediction(np.full((3, 2), (share, 1 - share), np.float32))
