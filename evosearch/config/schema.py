"""The JSON schema of a configuration file, from which editors complete and check, and the reference that is made of it."""

import ast
import inspect
import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from textwrap import dedent
from typing import Any

from evosearch.config.model import REGISTRIES, adapter, section_types


def config_schema() -> dict[str, Any]:
    """The schema (draft 2020-12), with the docstrings under the fields as descriptions; of plugins too.

    What a section checks itself (bounds, sums) is not in it: `validate` says that.
    """
    for registry in REGISTRIES.values():
        registry.load_all()
    schema = adapter().json_schema()
    schema["required"].remove("name")  # the file's stem is its default
    for section in REGISTRIES:
        for option in section_types(section)[1:]:
            definition = _definition(schema, option)
            definition["required"] = ["name", *definition.get("required", [])]
        for option in section_types(section):
            _describe(_definition(schema, option)["properties"], option)
    for study in section_types("study"):
        definition = _definition(schema, study)
        definition["required"] = ["kind"]
        _describe(definition["properties"], study)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "evosearch configuration",
        **_tidied(schema),
    }


def _definition(schema: Mapping[str, Any], settings: type[Any]) -> dict[str, Any]:
    """That of a class; of one that has parameters, pydantic writes those into the key."""
    found: dict[str, Any] = next(
        one for one in schema["$defs"].values() if one.get("title") == settings.__name__
    )
    return found


def schema_text() -> str:
    """The schema as it is in `configs/schema.json`."""
    return json.dumps(config_schema(), indent=2) + "\n"


def _describe(properties: dict[str, Any], settings: type[Any]) -> None:
    """Add the docstrings of inherited fields, which pydantic does not look for."""
    for base in settings.__mro__:
        for key, words in _docstrings(base).items():
            if key in properties:
                properties[key].setdefault("description", words)


def _docstrings(settings: type[Any]) -> dict[str, str]:
    """Those under the fields of a class; none where its source is not at hand."""
    try:
        (definition,) = ast.parse(dedent(inspect.getsource(settings))).body
    except (OSError, TypeError):
        return {}
    found = {}
    for one, below in pairwise(getattr(definition, "body", ())):
        match one, below:
            case ast.AnnAssign(target=ast.Name(id=key)), ast.Expr(value=ast.Constant(value=str(words))):
                found[key] = words
            case _:
                pass
    return found


def _tidied(schema: Any) -> Any:
    """Without pydantic's generated titles, and with each description on one line."""
    if isinstance(schema, list):
        return [_tidied(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: " ".join(value.split()) if key == "description" and isinstance(value, str) else _tidied(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
    }


def config_reference() -> str:
    """Every key with its default and meaning, as a Markdown table per section."""
    schema = config_schema()
    definitions, properties = schema["$defs"], schema["properties"]
    plain = {key: field for key, field in properties.items() if not _sections(field)}
    tables = [_table("", plain)]
    for section, field in properties.items():
        for name in _sections(field):
            definition = definitions[name]
            tags = ((tag, definition["properties"].get(tag, {}).get("const")) for tag in ("name", "kind"))
            title = f"`{section}`" + "".join(f" with `{tag}: {chosen}`" for tag, chosen in tags if chosen)
            tables.append(
                f"**{title}**: {definition['description']}\n\n{_table(f'{section}.', definition['properties'])}"
            )
    return "\n\n".join(tables)


def _sections(field: Mapping[str, Any]) -> list[str]:
    """The definitions a key's value may be of; none for a plain value."""
    field = next((one for one in field.get("anyOf", []) if "oneOf" in one), field)  # of a section or null
    options = field.get("oneOf", [field])
    return [option["$ref"].rpartition("/")[2] for option in options if "$ref" in option]


def _table(prefix: str, fields: Mapping[str, Mapping[str, Any]]) -> str:
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *_rows(prefix, fields)])


def _rows(prefix: str, fields: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for key, field in fields.items():
        default = f"`{json.dumps(field['default'])}`" if "default" in field else ""
        meaning = field["description"].replace("|", "\\|")
        yield f"| `{prefix}{key}` | {default} | {meaning} |"
