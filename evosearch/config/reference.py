"""The configuration reference of `docs/reference.md`, made from the schema so that it cannot lag behind."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from evosearch.config.schema import config_schema


def config_reference() -> str:
    """Every key with its default and meaning, as a Markdown table per section."""
    schema = config_schema()
    definitions, properties = schema["$defs"], schema["properties"]
    plain = {key: field for key, field in properties.items() if not _sections(field)}
    tables = [_table("", plain)]
    for section, field in properties.items():
        for name in _sections(field):
            definition = definitions[name]
            chosen = definition["properties"].get("name", {}).get("const")
            title = f"`{section}`" + (f" with `name: {chosen}`" if chosen else "")
            tables.append(
                f"**{title}**: {definition['description']}\n\n{_table(f'{section}.', definition['properties'])}"
            )
    return "\n\n".join(tables)


def _sections(field: Mapping[str, Any]) -> list[str]:
    """The definitions a key's value may be of; none for a plain value."""
    options = field.get("oneOf", [field])
    return [option["$ref"].rpartition("/")[2] for option in options if "$ref" in option]


def _table(prefix: str, fields: Mapping[str, Mapping[str, Any]]) -> str:
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *_rows(prefix, fields)])


def _rows(prefix: str, fields: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for key, field in fields.items():
        default = f"`{json.dumps(field['default'])}`" if "default" in field else ""
        meaning = field["description"].replace("|", "\\|")
        yield f"| `{prefix}{key}` | {default} | {meaning} |"
