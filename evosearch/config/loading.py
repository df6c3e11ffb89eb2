"""From a file and its overrides to a checked configuration."""

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evosearch.config.document import Document, override, read_document
from evosearch.config.messages import explain, key_of, locate, together
from evosearch.config.model import REGISTRIES, RunConfig, adapter, choose, section_types, settings_of
from evosearch.config.parts import part_problems, with_beside
from evosearch.config.strict_yaml import KeyPath
from evosearch.errors import ConfigError, PluginError


def load_config(path: Path, overrides: Sequence[str] = (), name: str | None = None) -> RunConfig:
    """As `read_config`, without the places."""
    return read_config(path, overrides, name)[0]


def read_config(
    path: Path, overrides: Sequence[str] = (), name: str | None = None
) -> tuple[RunConfig, Document]:
    """Read a configuration file, apply the overrides in order, and check the whole.

    `overrides`: `key.path=value` each, values in YAML (`training.learning_rate=1e-3`, `space.channels=[8, 16]`).
    `name`: names the search whatever file and overrides say; None leaves it to them, and else to the file's stem.

    Returns: the configuration, and what was given and where.

    Raises:
        ConfigError: one line with the file and line (or the override), the key, the found value and the repair.
    """
    document = _overridden(read_document(path), overrides, name)
    if "name" not in document.values:
        if any(
            "\ud800" <= letter <= "\udfff" for letter in path.stem
        ):  # how Python reads bytes that are not UTF-8
            raise ConfigError(f"{path} has a name that is not UTF-8, so it cannot name a search; give --name")
        document = document.with_value(("name",), path.stem, f"{path}, whose name names the search")
    document = without_never_used(document)
    config = check(document)
    data = with_beside(config.data, document, str(path.parent.resolve()))
    return replace(config, data=data), document


def derive_config(
    values: dict[str, Any], source: str, overrides: Sequence[str] = (), name: str | None = None
) -> tuple[RunConfig, Document]:
    """As `read_config`, of `values` that no file holds, for instance those of a journal; `source`: words for them. The
    overrides alone count as given.
    """
    document = without_never_used(_overridden(Document(values, {}, source), overrides, name))
    return check(document), document


def _overridden(document: Document, overrides: Sequence[str], name: str | None) -> Document:
    for text in overrides:
        document = override(document, text)
    if name is None:
        return document
    return document.with_value(("name",), name, f"--name {name or repr(name)}")


def without_never_used(document: Document) -> Document:
    """Without the keys that the first version took for every source and that this one never used; they are noted."""
    for section, given in document.values.items():
        if section in REGISTRIES and isinstance(given, dict):
            never = getattr(settings_of(section, given), "never_used", ())
            for key in (key for key in given if key in never):
                document = document.without((section, key))
    return document


def check(document: Document) -> RunConfig:
    """The configuration that `document` gives, with every default.

    Raises:
        ConfigError: as `load_config`.
    """
    values, problems, unknown = _chosen(document)
    kind = PluginError if unknown else ConfigError
    while True:  # what is wrong is left out and the rest is looked at again, until nothing new is found
        try:
            # As JSON, since only there a list may become a tuple while everything else is strict.
            config = adapter().validate_json(json.dumps(values))
            break
        except ValidationError as error:
            found = explain(error, document)
            news = {path: text for path, text in found.items() if path not in problems}
        except ConfigError as error:  # from a section's own __post_init__; pydantic lets it pass, and ends
            message = str(error)
            found = {key_of(message): locate(message, document)}
            news = {path: text for path, text in found.items() if not _rests_on(message, path, problems)}
        before = values
        for path in found:
            values = _without(values, path if path in news else path[:1])
        problems |= news
        if values == before:
            break
    if problems:
        raise together(problems, document, kind)
    return config


def _chosen(document: Document) -> tuple[dict[str, Any], dict[KeyPath, str], bool]:
    """The values with a name in each section that is chosen by one, which pydantic wants; what is wrong with a choice; and
    whether something chooses nothing.
    """
    values, problems = dict(document.values), dict[KeyPath, str]()
    for section in REGISTRIES:
        if not isinstance(given := values.get(section), dict):
            continue
        values[section] = {"name": section_types(section)[0].name, **given}
        try:
            choose(section, values[section]["name"])
        except PluginError as error:
            problems[section, "name"] = locate(str(error), document)
            values = _without(values, (section, "name"))
    for path, text in part_problems(document):
        problems[path] = f"{document.place(path)}: {text}"
        values = _without(values, path)
    return values, problems, any(path[-1] == "name" for path in problems)


def _rests_on(message: str, path: KeyPath, problems: Collection[KeyPath]) -> bool:
    """Whether what is said of a section may be due to a key that was wrong, was left out, and has its default now."""
    keys = (str(wrong[-1]) for wrong in problems if wrong[0] == path[0])
    return any(re.search(rf"\b{re.escape(key)}\b", message) for key in keys)


_NEEDED = ("name", "parts")
"""Keys that say what a section is."""
_STAND_INS: dict[str, Any] = {"name": "unnamed", "data": {"name": "digits"}}
"""For what is wrong and has no default."""


def _without(values: dict[str, Any], path: KeyPath) -> dict[str, Any]:
    """The values without a key that is wrong; without its section where that does not hold it, or is nothing without it."""
    section, *keys = map(str, path)
    inner = values.get(section)
    if keys and keys[0] not in (*_NEEDED, "kind") and isinstance(inner, dict) and keys[0] in inner:
        return {**values, section: {key: value for key, value in inner.items() if key != keys[0]}}
    rest = {key: value for key, value in values.items() if key != section}
    return rest | ({section: _STAND_INS[section]} if section in _STAND_INS else {})
