"""From a file and its overrides, or from a journal's JSON, to a checked configuration and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evosearch.config.document import Document, override, read_document
from evosearch.config.messages import explain, locate
from evosearch.config.model import RunConfig, adapter, section_types
from evosearch.errors import ConfigError


def load_config(path: Path, overrides: Sequence[str] = (), name: str | None = None) -> RunConfig:
    """Read a configuration file, apply the overrides in order, and check the whole.

    `overrides`: `key.path=value` each, values in YAML (`training.learning_rate=1e-3`, `space.channels=[8, 16]`).
    `name`: names the search whatever file and overrides say; None leaves it to them, and else to the file's stem.

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
    return _check(document)


def config_from_json(document: Mapping[str, Any]) -> RunConfig:
    """The configuration that `config_to_json` wrote into a journal.

    Raises:
        ConfigError: it is none of this version.
    """
    return _check(Document(dict(document), {}, "the journal's configuration"))


def config_to_json(config: RunConfig) -> dict[str, Any]:
    """Every key with its value, as JSON: ranges become lists. `config_from_json` gives an equal value back.

    It is what a journal keeps and reports show, so passwords in URLs are left out.
    """
    public = replace(config, storage=config.storage.public)
    document: dict[str, Any] = adapter().dump_python(public, mode="json")
    return document


def _check(document: Document) -> RunConfig:
    values = document.values
    if isinstance(
        strategy := values.get("strategy"), dict
    ):  # pydantic chooses by the name and knows no default
        values = {**values, "strategy": {"name": section_types("strategy")[0].name, **strategy}}
    try:
        # As JSON, since only there a list may become a tuple while everything else is strict.
        return adapter().validate_json(json.dumps(values))
    except ValidationError as error:
        raise ConfigError(explain(error, document)) from None
    except ConfigError as error:  # from a section's own __post_init__; pydantic lets it pass
        raise ConfigError(locate(str(error), document)) from None
