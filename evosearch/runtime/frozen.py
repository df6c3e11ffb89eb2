"""Mappings that are never changed: what one is with an item more, or with some less.

A whole table is copied each time, yet by `dict.copy`, which takes some nanoseconds an item: a comprehension, or `{**mapping}` of
a table from which something was taken, goes from item to item and takes ten times as long.
"""

from collections.abc import Mapping
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


def having(mapping: Mapping[Key, Value], key: Key, value: Value) -> Mapping[Key, Value]:
    """`mapping` with `value` under `key`, where it stood if there was one, else at the end.

    >>> having({"a": 1, "b": 2}, "a", 3)
    {'a': 3, 'b': 2}
    """
    changed = _copied(mapping)
    changed[key] = value
    return changed


def without(mapping: Mapping[Key, Value], *keys: Key) -> Mapping[Key, Value]:
    """`mapping` without those of `keys` that are in it; itself where none is.

    >>> without({"a": 1, "b": 2}, "b", "c", "b")
    {'a': 1}
    """
    if mapping.keys().isdisjoint(keys):
        return mapping
    changed = _copied(mapping)
    for key in keys:
        changed.pop(key, None)
    return changed


def _copied(mapping: Mapping[Key, Value]) -> dict[Key, Value]:
    return mapping.copy() if isinstance(mapping, dict) else dict(mapping)
