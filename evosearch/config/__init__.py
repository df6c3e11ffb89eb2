"""Config: one validated run configuration, composed of the rooms' own frozen dataclasses.

A *document* is what a YAML file says, with the *place* of every key (file and line, or the `--set` that gave it);
a *section* is a key of it that a room owns (`space`, `training`, ...). The one rule: whatever is wrong is said in
one line with place, key, found value and repair. pydantic lives here only, and alters no room's class.
What a change of a key means for searches that were begun before is said in `evosearch.config.journaled`.
`make docs` renews `configs/schema.json`, from which editors complete, and `docs/reference.md`.
"""

from evosearch.config.document import Document
from evosearch.config.journaled import (
    agreeing,
    check_new,
    config_from_json,
    config_to_json,
    objections,
    with_earlier_defaults,
)
from evosearch.config.loading import derive_config, load_config, read_config
from evosearch.config.model import RunConfig, differing_keys, plugins_of
from evosearch.config.schema import config_schema

__all__ = [
    "Document",
    "RunConfig",
    "agreeing",
    "check_new",
    "config_from_json",
    "config_schema",
    "config_to_json",
    "derive_config",
    "differing_keys",
    "load_config",
    "objections",
    "plugins_of",
    "read_config",
    "with_earlier_defaults",
]
