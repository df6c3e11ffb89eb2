"""The parts of a union of sources, in a configuration that is not checked yet: each is a source with a name and keys."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evosearch.config.document import Document
from evosearch.config.model import adapter, choose
from evosearch.config.strict_yaml import KeyPath
from evosearch.data import SOURCES, DataSettings, RootKeys, UnionSettings
from evosearch.errors import ConfigError, PluginError


def parts_in(values: Mapping[str, Any]) -> dict[KeyPath, dict[str, Any]]:
    """The keys of each part by its path, where a configuration's data are a union that gives its parts in keys and values."""
    data = values.get("data")
    if not isinstance(data, dict) or data.get("name") != _UNION or not isinstance(data.get("parts"), dict):
        return {}
    return {("data", "parts", name): part for name, part in data["parts"].items() if isinstance(part, dict)}


_UNION = next(one.default for one in fields(UnionSettings) if one.name == "name")


def part_problems(document: Document) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong with the name of a part, or with keys that only its source can judge: the key that has it, and a line
    without its place. Plugins that parts name are known from then on.
    """
    for path, part in parts_in(document.values).items():
        key = ".".join(map(str, path))
        if "name" not in part:
            yield path, f"{key}.name is missing; say which source the part is of: {SOURCES.listed()}"
        elif part["name"] == _UNION:
            yield (
                (*path, "name"),
                f"{key}.name is {_UNION!r}; a part is no union itself: put its parts beside the others",
            )
        else:
            yield from _complaints(path, key, part)


def _complaints(path: KeyPath, key: str, part: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    try:
        choose("data", part["name"])
        adapter().validate_json(json.dumps({"name": "part", "data": part}))
    except ValidationError:
        return  # told by its path when the whole is read
    except ConfigError as error:
        words = str(error)
        of_key = words.startswith("data.")
        text = f"{key}{words.removeprefix('data')}" if of_key else f"{key}: {words}"
        named = words.removeprefix("data.").partition(" ")[0]
        yield (*path, named) if of_key and (isinstance(error, PluginError) or named in part) else path, text


def with_beside(
    data: DataSettings, document: Document, folder: str, path: KeyPath = ("data",)
) -> DataSettings:
    """A source whose relative root is looked for in a folder first, where nobody said where; of a union, each part."""
    if isinstance(data, UnionSettings):
        parts = {
            name: with_beside(part, document, folder, (*path, "parts", name))
            for name, part in data.parts.items()
        }
        return replace(data, parts=parts)
    if (
        isinstance(data, RootKeys)
        and (*path, "beside") not in document.places
        and not Path(data.root).is_absolute()
    ):
        return replace(data, beside=folder)
    return data
