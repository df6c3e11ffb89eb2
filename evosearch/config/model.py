"""The run configuration, its form for pydantic, and what makes two of them different searches."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import cache
from typing import Annotated, Any, Protocol, get_args, get_type_hints, runtime_checkable

from pydantic import ConfigDict, Field, TypeAdapter, with_config

from evosearch.config.strict_yaml import shown
from evosearch.data import DataSettings
from evosearch.errors import ConfigError, InputError
from evosearch.evaluation import FinalSettings, TrainingSettings
from evosearch.genome import SearchSpace
from evosearch.runtime import WorkerSettings
from evosearch.search import EavlSettings, StrategySettings
from evosearch.storage import MOST_OF_RETRAINING, StorageSettings, check_name

# The sections are plain dataclasses of other rooms: pydantic hands this configuration on to them.
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)


BELOW_SEED = 2**32
"""Numpy cuts a seed into words of 32 bits, so larger ones draw the very numbers that some smaller ones do."""


@runtime_checkable
class Objecting(Protocol):
    """A section that refuses what an older version did not."""

    def objections(self) -> Sequence[str]:
        """Why no new search may have it: a line each that starts with its key, found value and repair."""


@with_config(_STRICT)
@dataclass(frozen=True)
class RunConfig:
    """One search: its data, its space, how it searches and trains, where it runs, and what it keeps."""

    name: str
    """Name of the search, and of its folder. Default: the file's name without its ending."""
    data: DataSettings
    """Which images."""
    seed: int = 0
    """Seed of the search, from 0, below 2^32."""
    space: SearchSpace = field(default_factory=SearchSpace)
    """What a random network may look like."""
    strategy: Annotated[StrategySettings, Field(discriminator="name")] = field(default_factory=EavlSettings)
    """How to search; `name` says which strategy, and each has keys of its own."""
    training: TrainingSettings = field(default_factory=TrainingSettings)
    """How every candidate is trained."""
    workers: WorkerSettings = field(default_factory=WorkerSettings)
    """Who trains."""
    storage: StorageSettings = field(default_factory=StorageSettings)
    """Where the search is kept."""
    final: FinalSettings = field(default_factory=FinalSettings)
    """How the best network is trained anew after the search."""

    def __post_init__(self) -> None:
        try:
            check_name(self.name, MOST_OF_RETRAINING)
        except InputError as error:
            raise ConfigError(f"name: {error}") from None
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}; it must be at least 0")

    def objections(self) -> Sequence[str]:
        """As `Objecting`."""
        told = []
        if self.seed >= BELOW_SEED:
            told.append(
                f"seed is {self.seed}; it must be below {BELOW_SEED:,}: larger ones repeat numbers of smaller ones"
            )
        return told


@cache
def adapter() -> TypeAdapter[RunConfig]:
    """Reads and writes a `RunConfig`; made once, when first needed."""
    return TypeAdapter(RunConfig)


def section_types(section: str) -> tuple[Any, ...]:
    """The dataclasses a section may be, the default one first; none for a plain key."""
    hint = get_type_hints(RunConfig).get(section)
    return tuple(option for option in get_args(hint) or (hint,) if is_dataclass(option))


def differing_keys(here: RunConfig, journal: RunConfig) -> tuple[str, ...]:
    """What makes two configurations different searches, one text per key, in the order of the file.

    Compared are `seed`, `space`, `strategy` and `training`; the data are compared by
    their hash elsewhere. Each text reads `strategy.population: 8 here, 10 in the journal`. Of two strategies
    only the names are told.
    """
    if type(here.strategy) is not type(journal.strategy):
        here_values, journal_values = {"name": here.strategy.name}, {"name": journal.strategy.name}
    else:
        here_values, journal_values = asdict(here.strategy), asdict(journal.strategy)
    pairs: list[tuple[str, Any, Any]] = [("seed", here.seed, journal.seed)]
    for section, mine, theirs in (
        ("space", asdict(here.space), asdict(journal.space)),
        ("strategy", here_values, journal_values),
        ("training", asdict(here.training), asdict(journal.training)),
    ):
        pairs += [(f"{section}.{key}", value, theirs[key]) for key, value in mine.items()]
    return tuple(
        f"{key}: {shown(mine)} here, {shown(theirs)} in the journal"
        for key, mine, theirs in pairs
        if mine != theirs
    )
