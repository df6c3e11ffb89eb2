"""Configurations of searches that were begun before, by this version or an older one.

A configuration keeps the meaning it was begun with. What changed since is said by the metadata of the field that it
is a key of, next to the default:

- `absent`: what a journal without the key means, where that is not the default: the key, or its default, came later.
- `earlier`: other values that were the default once. Who never gave the key goes on with the value journaled.

What is refused since is said by a section's method `objections`, never by its construction: a search that begins is
refused, one that was begun goes on with a note.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import Field, fields, is_dataclass, replace
from itertools import zip_longest
from typing import Any

from evosearch.config.document import Document
from evosearch.config.loading import check, without_never_used
from evosearch.config.messages import as_error, locate
from evosearch.config.model import REGISTRIES, Objecting, RunConfig, adapter, choose, settings_of
from evosearch.config.parts import parts_in
from evosearch.config.strict_yaml import KeyPath
from evosearch.data import sources_in
from evosearch.errors import ConfigError, InputError, PluginError
from evosearch.evaluation import Precision, TrainingSettings
from evosearch.search import FixedListSettings
from evosearch.storage import check_new_name

JOURNAL = "the journal's configuration"


def config_from_json(document: Mapping[str, Any]) -> RunConfig:
    """The configuration that `config_to_json` wrote into a journal, by whichever version up to this one.

    Raises:
        PluginError: it names a plugin that is not installed, or that does not read any more what it read then.
        ConfigError: it is none of these.
    """
    values = {**_absent_from(RunConfig, document), **document}
    values = without_never_used(Document(values, {}, JOURNAL)).values
    for path, part in parts_in(values).items():
        if absent := _absent_from(settings_of("data", part), part):
            values = Document(values, {}, JOURNAL).with_value(path, {**absent, **part}, JOURNAL).values
    for section in (one.name for one in fields(RunConfig)):
        given = values.get(section, {})
        if isinstance(given, dict) and (settings := settings_of(section, given)):
            values |= {section: {**absent, **given}} if (absent := _absent_from(settings, given)) else {}
    try:
        return check(Document(values, {}, JOURNAL))
    except PluginError:
        raise
    except Exception as error:  # a plugin's code is a stranger's
        origins = [REGISTRIES[section].origin(name) for section, name in _names_in(values)]
        if not any(origins):
            raise
        here = " and ".join(dict.fromkeys(str(one) for one in origins if one is not None))
        told = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
        raise PluginError(f"{' '.join(told.split())} (here is {here})") from error


def _names_in(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The sections that are chosen by name, each with its name."""
    for section in REGISTRIES:
        given = values.get(section)
        if isinstance(given, dict) and isinstance(name := given.get("name"), str):
            yield section, name
    for part in parts_in(values).values():
        if isinstance(name := part.get("name"), str):
            yield "data", name


def _absent_from(record: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the absence of keys of `record` from `given` means, where that is not what their default says. None: nobody
    knows.
    """
    if record is None:
        return {}
    return {
        key.name: key.metadata["absent"]
        for key in fields(record)
        if key.name not in given and "absent" in key.metadata
    }


def config_to_json(config: RunConfig) -> dict[str, Any]:
    """Every key with its value, as JSON: ranges become lists. `config_from_json` gives an equal value back.

    It is what a journal keeps and reports show, so passwords in URLs are left out.
    """
    choose("strategy", config.strategy.name)  # made in Python, nobody may have named its plugins yet
    for source in sources_in(config.data):
        choose("data", source.name)
    public = replace(config, storage=config.storage.public)
    document: dict[str, Any] = adapter().dump_python(public, mode="json")
    if config.study is None:  # as before there were studies
        del document["study"]
    return document


def with_earlier_defaults(
    config: RunConfig, journaled: RunConfig, given: Collection[KeyPath] | None
) -> RunConfig:
    """`config` with what `journaled` has for every key that nobody gave and whose default has changed since.

    `given`: the paths of the keys that the user gave; None: all.
    """
    if given is None:
        return config
    kept: dict[str, Any] = {}
    for one in fields(config):
        mine, theirs = getattr(config, one.name), getattr(journaled, one.name)
        if is_dataclass(mine) and type(mine) is type(theirs):
            inner = [part for part in fields(mine) if (one.name, part.name) not in given]
            kept[one.name] = replace(mine, **_earlier(inner, theirs))  # type: ignore[type-var] # a dataclass, asked above
    top = [one for one in fields(config) if (one.name,) not in given]
    return replace(config, **kept | _earlier(top, journaled))


def agreeing(config: RunConfig, journaled: RunConfig, precision: Precision | None) -> RunConfig:
    """`config` with the precisions that `journaled` has, wherever they agree: `auto` does with each, and what is named with `auto`
    where that means it. `precision`: what it means for the search; None: nobody has decided.
    """
    ours, theirs = config.strategy, journaled.strategy
    training = _agreeing(config.training, journaled.training, precision)
    if isinstance(ours, FixedListSettings) and isinstance(theirs, FixedListSettings):
        pairs = zip_longest(ours.trials, theirs.trials[: len(ours.trials)])
        trials = tuple(
            replace(one, settings=_agreeing(one.settings, other.settings, precision))
            if one.settings is not None and other is not None and other.settings is not None
            else one
            for one, other in pairs
        )
        return replace(config, training=training, strategy=replace(ours, trials=trials))
    return replace(config, training=training)


def _agreeing(
    ours: TrainingSettings, theirs: TrainingSettings, precision: Precision | None
) -> TrainingSettings:
    alike = ours.precision == "auto" or ours.precision == theirs.at(precision).precision
    return replace(ours, precision=theirs.precision) if alike else ours


def objections(config: RunConfig) -> tuple[str, ...]:
    """Why no new search may be begun with `config`, one line each that starts with its key; an old one goes on."""
    sections = (getattr(config, one.name) for one in fields(config))
    told = (section.objections() for section in (config, *sections) if isinstance(section, Objecting))
    return tuple(line for lines in told for line in lines)


def check_new(config: RunConfig, source: Document | None) -> None:
    """See that a search may be begun with `config`. `source`: what it was read from.

    Raises:
        ConfigError: it may not; with the place of the key.
    """
    lines = [*objections(config)]
    try:
        check_new_name(config.name)  # no objection: retrainings, which are not begun so, have such names
    except InputError as error:
        lines.append(f"name: {error}")
    if lines:
        raise as_error([locate(line, source) if source else line for line in lines])


def _earlier(keys: Collection[Field[Any]], journaled: Any) -> dict[str, Any]:
    """Of `keys`, those whose journaled value was a default once."""
    found = {key.name: getattr(journaled, key.name) for key in keys}
    return {key.name: found[key.name] for key in keys if found[key.name] in _defaults_before(key)}


def _defaults_before(key: Field[Any]) -> tuple[Any, ...]:
    absent = (key.metadata["absent"],) if "absent" in key.metadata else ()
    return (*absent, *key.metadata.get("earlier", ()))
