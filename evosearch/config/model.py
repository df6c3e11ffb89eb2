"""The run configuration, its form for pydantic, and what makes two of them different searches."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import cache
from typing import Annotated, Any, Protocol, Union, get_type_hints, runtime_checkable

from pydantic import ConfigDict, Field, GetCoreSchemaHandler, PydanticUserError, TypeAdapter, with_config
from pydantic_core import CoreSchema

from evosearch.config.strict_yaml import shown
from evosearch.data import SOURCES, DataSettings, UnionSettings, sources_in
from evosearch.errors import ConfigError, InputError, PluginError
from evosearch.evaluation import FinalSettings, TrainingSettings
from evosearch.genome import SearchSpace
from evosearch.registry import Registry
from evosearch.runtime import WorkerSettings
from evosearch.search import (
    STRATEGIES,
    EavlSettings,
    EvolutionKeys,
    FixedListSettings,
    Halving,
    StrategySettings,
    halving_of,
    measure_of,
)
from evosearch.storage import MOST_OF_RETRAINING, StorageSettings, check_name
from evosearch.studies import STUDIES, BatchNormStudy, StudySettings

REGISTRIES: dict[str, Registry[Any]] = {"data": SOURCES, "strategy": STRATEGIES}
"""Of the sections that are chosen by name."""

# The sections are plain dataclasses of other rooms: pydantic hands this configuration on to them.
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)


BELOW_SEED = 2**32
"""Numpy cuts a seed into words of 32 bits, so larger ones draw the very numbers that some smaller ones do."""


@dataclass(frozen=True)
class Registered:
    """Has pydantic read a section as the union of what is registered, told apart by `name`: of ours, and of those plugins
    whose name somebody gave.
    """

    section: str
    """Name of the section, which is that of its registry."""

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """As `Annotated` asks for it."""
        known: list[Any] = _readable(REGISTRIES[self.section])
        union: Any = UnionSettings[AnyPart]  # type: ignore[type-var] # tells pydantic what a part is
        return _told_apart([union if one is UnionSettings else one for one in known], handler)


class AnyPart:
    """Has pydantic read a part of a union of sources: of every kind but a union."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """As pydantic asks for it."""
        return _told_apart([one for one in _readable(SOURCES) if one is not UnionSettings], handler)


def _told_apart(options: Sequence[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
    """One of several dataclasses, by its `name`."""
    either: Any = Annotated[Union[tuple(options)], Field(discriminator="name")]  # noqa: UP007 - of a tuple
    return handler.generate_schema(either)


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
    data: Annotated[DataSettings, Registered("data")]
    """Which images; `name` says from which source, and each has keys of its own."""
    seed: int = 0
    """Seed of the search, from 0, below 2^32."""
    space: SearchSpace = field(default_factory=SearchSpace)
    """What a random network may look like."""
    strategy: Annotated[StrategySettings, Registered("strategy")] = field(default_factory=EavlSettings)
    """How to search; `name` says which strategy, and each has keys of its own."""
    training: TrainingSettings = field(default_factory=TrainingSettings)
    """How every candidate is trained."""
    workers: WorkerSettings = field(default_factory=WorkerSettings)
    """Who trains."""
    storage: StorageSettings = field(default_factory=StorageSettings)
    """Where the search is kept."""
    final: FinalSettings = field(default_factory=FinalSettings)
    """How the best network is trained again after the search."""
    study: Annotated[StudySettings, Field(discriminator="kind")] | None = None
    """Which study the file is of, instead of one search; `kind` says which, and each has keys of its own."""

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
        if not (self.training.validates or isinstance(self.strategy, FixedListSettings)):
            told.append(
                f"training.fit is {self.training.fit}, but {self.strategy.name} chooses by the validation images; "
                "leave training.fit out, `final.fit` is for the final training"
            )
        if halving := halving_of(self.strategy):
            told += self._against_halving(halving)
        if self._compares and isinstance(self.strategy, EvolutionKeys) and self.strategy.repeats:
            told.append(
                f"strategy.repeats is {self.strategy.repeats} in a study, whose arms differ by what they breed alone; leave it out"
            )
        if self.final.contenders > 1:
            told += self._against_contenders()
        return told

    def _against_contenders(self) -> Sequence[str]:
        """Why there can be none, a line each."""
        if self.study is not None:
            return [
                f"final.contenders is {self.final.contenders} in a study, each of whose searches has one best; leave it out"
            ]
        if isinstance(self.strategy, FixedListSettings):
            return [
                f"final.contenders is {self.final.contenders}, but strategy.name is {self.strategy.name}, whose trainings are all "
                "asked for by name; leave it out"
            ]
        return []

    @property
    def _compares(self) -> bool:
        """Whether it is of a study that searches."""
        return self.study is not None and not isinstance(self.study, BatchNormStudy)

    def _against_halving(self, halving: Halving) -> Sequence[str]:
        """Why there can be none, a line each."""
        told, training = [], self.training
        if halving.epochs[-1] != training.epochs:
            told.append(
                f"strategy.halving.epochs ends with {halving.epochs[-1]}, but training.epochs is {training.epochs}; the last "
                "rung is the whole training, so make them equal"
            )
        if training.patience is not None:
            told.append(
                f"strategy.halving.epochs is {list(halving.epochs)} while training.patience is {training.patience}: a training "
                "that may end early comes to no certain rung; leave one of the two out"
            )
        if self._compares:
            told.append(
                f"strategy.halving.epochs is {list(halving.epochs)} in a study, whose arms are compared by whole trainings; "
                "leave strategy.halving out"
            )
        return told


def adapter() -> TypeAdapter[RunConfig]:
    """Reads and writes a `RunConfig`; made again where a plugin was named that was not before."""
    return _adapter(*(registry.loaded for registry in REGISTRIES.values()))


@cache
def _adapter(*_: tuple[Any, ...]) -> TypeAdapter[RunConfig]:
    return TypeAdapter(RunConfig)


def _readable(registry: Registry[Any]) -> list[type]:
    return [one for one in registry.loaded if _unreadable(registry, one) is None]


def _unreadable(registry: Registry[Any], settings: type[Any]) -> str | None:
    """Why pydantic cannot read a class, which it finds out of a plugin's only when it tries; None: it can."""
    if settings in registry.ours.values():
        return None
    try:
        TypeAdapter(settings)
    except PydanticUserError as error:
        return str(error).splitlines()[0]
    return None


def choose(section: str, name: object) -> type[Any]:
    """The class that `name` chooses for a section of `REGISTRIES`; from then on it is one of its `section_types`.

    Raises:
        PluginError: nothing is registered so, or what is cannot be used; the line begins with the key.
    """
    registry = REGISTRIES[section]
    if isinstance(name, str) and name in registry.ours:  # no plugin is looked for
        return registry.ours[name]
    if not isinstance(name, str) or name not in registry.names:
        raise PluginError(f"{section}.name is {shown(name)}; {registry.expected(name)}")
    found = registry.find(name)
    if reason := _unreadable(registry, found):
        raise PluginError(
            f"{section}.name is {shown(name)}, but {registry.origin(name)} has a key of a kind that no file can hold: {reason}"
        )
    return found


def plugins_of(config: RunConfig) -> dict[str, str]:
    """The distributions besides ours that a configuration needs, with their versions here."""
    named = (*(("data", one.name) for one in sources_in(config.data)), ("strategy", config.strategy.name))
    origins = (REGISTRIES[section].origin(name) for section, name in named)
    return {one.distribution: one.version for one in origins if one is not None}


def settings_of(section: str, given: Mapping[str, Any]) -> Any:
    """The class that reads what is given in a section; None: it is a plain key, or nothing is registered by that name."""
    if section in REGISTRIES and "name" in given:
        try:
            return choose(section, given["name"])
        except PluginError:
            return None
    if section == "study":
        return STUDIES.get(str(given.get("kind")))
    return next(iter(section_types(section)), None)


def section_types(section: str) -> tuple[Any, ...]:
    """The dataclasses a section may be, the default one first; none for a plain key."""
    if section in REGISTRIES:
        return tuple(_readable(REGISTRIES[section]))
    if section == "study":
        return tuple(STUDIES.values())
    hint = get_type_hints(RunConfig).get(section)
    return (hint,) if is_dataclass(hint) else ()


def differing_keys(here: RunConfig, journal: RunConfig) -> tuple[str, ...]:
    """What makes two configurations different searches, one text per key, in the order of the file.

    Compared are `seed`, `space`, `strategy` and `training`, and the positive class where the search goes by F1; the data are
    compared by their hash elsewhere. Each text reads `strategy.population: 8 here, 10 in the journal`. Of two strategies
    only the names are said.
    """
    if type(here.strategy) is not type(journal.strategy):
        here_values, journal_values = {"name": here.strategy.name}, {"name": journal.strategy.name}
    else:
        here_values, journal_values = asdict(here.strategy), asdict(journal.strategy)
    pairs: list[tuple[str, Any, Any]] = [("seed", here.seed, journal.seed)]
    if measure_of(here.strategy) == measure_of(journal.strategy) == "f1":
        mine, theirs = (getattr(one.data, "positive", None) for one in (here, journal))
        if {mine, theirs} != {None, 1}:  # left out, it is the second class
            pairs.append(("data.positive", mine, theirs))
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
