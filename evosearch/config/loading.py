"""From a file and its overrides to a checked configuration."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from evosearch.config.document import Document, override, read_document
from evosearch.config.messages import explain, locate
from evosearch.config.model import REGISTRIES, RunConfig, adapter, choose, section_types, settings_of
from evosearch.data import FileKeys
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
        if any(
            "\ud800" <= letter <= "\udfff" for letter in path.stem
        ):  # how Python reads bytes that are not UTF-8
            raise ConfigError(f"{path} has a name that is not UTF-8, so it cannot name a search; give --name")
        document = document.with_value(("name",), path.stem, f"{path}, whose name names the search")
    document = without_never_used(document)
    config = check(document)
    data = config.data
    if (
        isinstance(data, FileKeys)
        and ("data", "beside") not in document.places
        and not Path(data.root).is_absolute()
    ):
        data = replace(data, beside=str(path.parent.resolve()))
    return replace(config, data=data), document


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
    values = dict(document.values)
    try:
        for section in REGISTRIES:
            if isinstance(
                given := values.get(section), dict
            ):  # pydantic chooses by the name and knows no default
                values[section] = {"name": section_types(section)[0].name, **given}
                choose(section, values[section]["name"])
        # As JSON, since only there a list may become a tuple while everything else is strict.
        return adapter().validate_json(json.dumps(values))
    except ValidationError as error:
        raise ConfigError(explain(error, document)) from None
    except ConfigError as error:  # from a section's own __post_init__; pydantic lets it pass
        raise type(error)(locate(str(error), document)) from None
