"""What a seed stands for: the searches, the machines they run on, and all that goes wrong."""

import zlib
from dataclasses import dataclass, field, replace
from functools import lru_cache
from random import Random
from typing import Literal

from evosearch.blueprint import ImageShape, Limits
from evosearch.evaluation import Failure, FailureKind, Outcome, Success, TrainingSettings, TrainingTask
from evosearch.genome import SearchSpace
from evosearch.runtime import Plan, TimeLimits
from evosearch.search import EavlSettings, RandomSearchSettings, StrategySettings, make_strategy
from evosearch.testing.evaluators import formula_fitness

SHARED = 40
"""So many seeds in a row disturb the same searches, whose undisturbed run is made once."""

SPACES = (
    SearchSpace(convolutions=(1, 4), channels=(4, 8), poolings=(0, 2), dense=(1, 2), units=(4, 8)),
    # of a few dozen networks, so that equal ones turn up again and again
    SearchSpace(convolutions=(1, 2), channels=(4, 5), poolings=(0, 1), dense=(1, 1), units=(4, 5)),
)

FLAWS = (FailureKind.DIVERGED, FailureKind.OUT_OF_MEMORY, FailureKind.TIMED_OUT)
"""What a network may fail of whatever happens; these never stop a search."""


@dataclass(frozen=True)
class Configuration:
    """Searches that share a pool, and how they would end undisturbed.

    `seeds`: one search each. `flawed`: share of the networks that always fail, of `FLAWS`. `broken`: whether one of the
    first population raises an error each time.
    """

    settings: StrategySettings
    space: SearchSpace
    seeds: tuple[int, ...]
    flawed: float
    broken: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Of the searches."""
        return tuple(f"simulated/seed-{seed}" for seed in self.seeds)

    @property
    def generations(self) -> int:
        """In all."""
        return self.settings.generations if isinstance(self.settings, EavlSettings) else 1

    def evaluate(self, search: str, request: TrainingTask) -> Outcome:
        """What a training comes to: the same whenever and wherever it is done."""
        if request.network == self._broken_network(search):
            return Failure(FailureKind.ERROR, "ValueError: a layer that this version cannot build", 0.1)
        luck = zlib.crc32(f"{request.network} {request.seed}".encode()) % 1000
        if luck < 1000 * self.flawed:
            return Failure(FLAWS[luck % len(FLAWS)], "a flaw of the network", 0.1)
        return Success(formula_fitness(request.network, request.seed), 0.1 + luck / 1000)

    def _broken_network(self, search: str) -> object:
        return (
            plan_of(self, search, self.generations).strategy.start().members[1].chromosome
            if self.broken
            else None
        )


@lru_cache(maxsize=64)
def plan_of(configuration: Configuration, search: str, generations: int) -> Plan:
    """A search of `configuration`, with so many generations in all."""
    settings, space = configuration.settings, configuration.space
    if isinstance(settings, EavlSettings):
        settings = replace(settings, generations=generations)
    training = TrainingSettings(epochs=1)
    limits = Limits.of(
        space, ImageShape(1, 8, 8), 2, training.batch_size, training.optimizer, training.dropout
    )
    seed = dict(zip(configuration.names, configuration.seeds, strict=True))[search]
    return Plan(search, seed, make_strategy(settings, space, limits, seed), training, limits, "data")


@lru_cache(maxsize=8)
def configuration_of(number: int) -> Configuration:
    """The configuration that seeds from `number * SHARED` on disturb."""
    chance = Random(f"configuration {number}")
    population = chance.randint(3, 8)
    elites = chance.randint(0, population - 2)
    settings: StrategySettings = EavlSettings(
        population=population,
        generations=chance.randint(2, 4),
        elites=elites,
        immigrants=chance.randint(0, population - elites - 1),
        crossover_probability=chance.choice([0.2, 0.9]),
        phi=chance.choice([1, 1, 2, 4]),
    )
    if chance.random() < 0.15:
        settings = RandomSearchSettings(evaluations=chance.randint(4, 16))
    space = SPACES[chance.random() < 0.4]
    first = 100 * number
    return Configuration(
        settings,
        space,
        seeds=(first, first + 1) if chance.random() < 0.25 else (first,),
        flawed=chance.choice([0.0, 0.0, 0.1, 0.3]),
        broken=population > 3 and space is SPACES[0] and chance.random() < 0.3,
    )


@dataclass(frozen=True)
class Machines:
    """What the searches run on; seconds are virtual.

    `memory`: of each device, None on CPUs. `seconds`: mean of a training. `life`: mean time until a node goes away;
    None: never. `repair`: until it is back, or one in its place under a name of its own. `hard`: of one evaluation.
    """

    nodes: int = 1
    per_node: int = 1
    own_devices: bool = False
    memory: int | None = None
    seconds: float = 1.0
    life: float | None = None
    repair: float = 1.0
    same_names: bool = False
    recycle_after: int | None = None
    limits: TimeLimits = field(default_factory=TimeLimits)


@dataclass(frozen=True)
class Troubles:
    """How often what goes wrong, as the chance at each occasion.

    At each commit: `dies_before` or `dies_after` it is durable; the server goes `away` before or after; the driver
    stands still (`pauses`), or a second one takes over (`superseded`). At each submission: `dies_submitting`. At each
    turn of the loop: `stopped` by a signal. Of each attempt: its process crashes, its worker is lost, memory runs out,
    an error is raised, it hangs, it is too slow, its node goes away. `returns`: chance that who was given up still
    reports. `extended`: that a resume asks for the generations that are still to come before those before are done.
    `again`: that a search that is done is driven again.
    """

    dies_before: float = 0.0
    dies_after: float = 0.0
    dies_submitting: float = 0.0
    away: float = 0.0
    pauses: float = 0.0
    superseded: float = 0.0
    stopped: float = 0.0
    crashes: float = 0.0
    lost: float = 0.0
    out_of_memory: float = 0.0
    errors: float = 0.0
    hangs: float = 0.0
    slow: float = 0.0
    outages: float = 0.0
    returns: float = 0.0
    extended: float = 0.0
    again: float = 0.0


Plague = Literal["none", "machines", "code", "processes"]
"""What goes wrong until the search stops for it, once: a candidate that loses its worker each time; everything
ends as an error, or crashes, from the start.
"""


@dataclass(frozen=True)
class Scenario:
    """All that a seed stands for. `totals`: of generations, each reached by an extension of the one before."""

    seed: int
    configuration: Configuration
    machines: Machines
    troubles: Troubles
    plague: Plague
    totals: tuple[int, ...]

    @classmethod
    def of(cls, seed: int) -> "Scenario":
        """What `seed` stands for."""
        configuration = configuration_of(seed // SHARED)
        chance = Random(f"scenario {seed}")
        return cls(
            seed,
            configuration,
            _machines(chance),
            _troubles(chance),
            chance.choices(("none", "machines", "code", "processes"), (20, 2, 1, 1))[0],
            _totals(chance, configuration.generations),
        )

    @classmethod
    def undisturbed(cls, configuration: Configuration) -> "Scenario":
        """One driver, one worker, and nothing goes wrong."""
        return cls(0, configuration, Machines(), Troubles(), "none", (configuration.generations,))


def _machines(chance: Random) -> Machines:
    seconds = chance.choice([0.3, 1.0, 3.0])
    return Machines(
        nodes=chance.randint(1, 3),
        per_node=chance.randint(1, 3),
        own_devices=chance.random() < 0.3,
        memory=chance.choice([None, 16 * 2**30]),
        seconds=seconds,
        life=chance.choice([None, None, chance.uniform(0.7, 8) * seconds]),
        repair=chance.uniform(0.1, 5),
        same_names=chance.random() < 0.3,
        recycle_after=chance.choice([None, None, 1, 3]),
        limits=TimeLimits(stall=20.0, hard=chance.choice([None, 60.0])),
    )


def _troubles(chance: Random) -> Troubles:
    def rate(most: float) -> float:
        return chance.uniform(0, most) if chance.random() < 0.4 else 0.0

    return Troubles(
        dies_before=rate(0.1),
        dies_after=rate(0.1),
        dies_submitting=rate(0.05),
        away=rate(0.2),
        pauses=rate(0.1),
        superseded=rate(0.08),
        stopped=rate(0.02),
        crashes=rate(0.4),
        lost=rate(0.4),
        out_of_memory=rate(0.2),
        errors=rate(0.2),
        hangs=rate(0.2),
        slow=rate(0.2),
        outages=rate(0.4),
        returns=rate(1.0),
        extended=rate(0.5),
        again=rate(0.5),
    )


def _totals(chance: Random, generations: int) -> tuple[int, ...]:
    """Rising, up to all of them."""
    before = [total for total in range(1, generations) if chance.random() < 0.25]
    return (*before, generations)
