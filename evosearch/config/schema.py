"""The JSON schema of a configuration file, from which editors complete and check."""

import json
from typing import Any

from evosearch.config.model import adapter, section_types


def config_schema() -> dict[str, Any]:
    """The schema (draft 2020-12), with the docstrings under the fields as descriptions.

    What a section checks itself (bounds, sums) is not in it: `validate` tells that.
    """
    schema = adapter().json_schema()
    schema["required"].remove("name")  # the file's stem is its default
    for strategy in section_types("strategy")[1:]:
        schema["$defs"][strategy.__name__]["required"] = ["name"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "evosearch configuration",
        **_tidied(schema),
    }


def schema_text() -> str:
    """The schema as it stands in `configs/schema.json`."""
    return json.dumps(config_schema(), indent=2) + "\n"


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
