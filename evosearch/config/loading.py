"""From a file and its overrides to a checked configuration."""

import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evosearch.config.document import Document, override, read_document
from evosearch.config.messages import explain, key_of, locate, together
from evosearch.config.model import RunConfig, adapter, section_types
from evosearch.config.strict_yaml import KeyPath
from evosearch.errors import ConfigError


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
    document = read_document(path)
    for text in overrides:
        document = override(document, text)
    if name is not None:
        document = document.with_value(("name",), name, f"--name {name}")
    if "name" not in document.values:
        document = document.with_value(("name",), path.stem, f"{path}, whose name names the search")
    return check(document), document


def check(document: Document) -> RunConfig:
    """The configuration that `document` gives, with every default.

    Raises:
        ConfigError: as `load_config`.
    """
    values = document.values
    if isinstance(
        strategy := values.get("strategy"), dict
    ):  # pydantic chooses by the name and knows no default
        values = {**values, "strategy": {"name": section_types("strategy")[0].name, **strategy}}
    problems: dict[KeyPath, str] = {}
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
        raise together(problems, document)
    return config


def _rests_on(message: str, path: KeyPath, problems: Collection[KeyPath]) -> bool:
    """Whether what is said of a section may be due to a key that was wrong, was left out, and has its default now."""
    keys = (str(wrong[-1]) for wrong in problems if wrong[0] == path[0])
    return any(re.search(rf"\b{re.escape(key)}\b", message) for key in keys)


_STAND_INS: dict[str, Any] = {"name": "unnamed", "data": {"name": "digits"}}
"""For what is wrong and has no default."""


def _without(values: dict[str, Any], path: KeyPath) -> dict[str, Any]:
    """The values without a key that is wrong; without its section where that does not hold it, or is named by it."""
    section, *keys = map(str, path)
    inner = values.get(section)
    if keys and keys[0] != "name" and isinstance(inner, dict) and keys[0] in inner:
        return {**values, section: {key: value for key, value in inner.items() if key != keys[0]}}
    rest = {key: value for key, value in values.items() if key != section}
    return rest | ({section: _STAND_INS[section]} if section in _STAND_INS else {})
