"""What a shell offers when TAB is pressed behind `evosearch`: names of searches, of examples, and keys for `--set`.

A shell has no place for a complaint: whatever goes wrong, or takes too long, offers nothing.
"""

import contextlib
import json
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from evosearch.cli.examples import example_names, shipped_configs

PATIENCE = 2.0
"""Seconds that are waited for a file system that hangs."""


def examples(incomplete: str) -> list[str]:
    """Names for `--example`."""
    return _offered(example_names, incomplete)


def searches(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of searches, in the journal that `--storage` names as far as it is typed, or the usual one."""
    return _offered(_names_in_journal(ctx), incomplete)


def searches_and_groups(ctx: typer.Context, incomplete: str) -> list[str]:
    """Likewise, and names of groups."""
    from evosearch.storage import group_of

    names = _names_in_journal(ctx)
    return _offered(lambda: sorted({*(known := names()), *map(group_of, known)}), incomplete)


def keys(incomplete: str) -> list[str]:
    """Keys of a configuration with the `=` behind them, as `--set` takes them."""
    return _offered(lambda: [f"{key}=" for key in _keys()], incomplete)


def _offered(find: Callable[[], Collection[str]], incomplete: str) -> list[str]:
    """What `find` finds that begins as typed; nothing where it fails or outlasts `PATIENCE`."""
    found: list[str] = []

    def look() -> None:
        with contextlib.suppress(BaseException):  # see the top of this file
            found.extend(one for one in find() if one.startswith(incomplete) and one.isprintable())

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(PATIENCE)
    return list(found)


def _names_in_journal(ctx: typer.Context) -> Callable[[], Collection[str]]:
    from evosearch.storage import search_names  # takes longer than the look that is limited

    return lambda: search_names(ctx.params.get("storage"), env=os.environ, cwd=Path.cwd())


def _keys() -> list[str]:
    """From the shipped schema: making it from the code takes longer than somebody at a prompt waits."""
    schema = json.loads((shipped_configs() / "schema.json").read_text(encoding="utf-8"))
    return sorted(set(_below("", schema, schema["$defs"])))


def _below(prefix: str, record: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    for key, field in record["properties"].items():
        options = [
            option["$ref"].rpartition("/")[2] for option in field.get("oneOf", [field]) if "$ref" in option
        ]
        if not options:
            yield f"{prefix}{key}"
        for option in options:
            yield from _below(f"{prefix}{key}.", definitions[option], definitions)
