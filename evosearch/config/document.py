"""A configuration before it is checked: its values, and the place of each."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evosearch.config.strict_yaml import KeyPath, Places, dotted, parse, shown
from evosearch.errors import ConfigError
from evosearch.storage import without_password

MAX_BYTES = 1_000_000
"""Largest configuration file; a larger one is something else by mistake."""


@dataclass(frozen=True)
class Document:
    """A configuration as it was given, before it is checked."""

    values: dict[str, Any]
    """As read."""
    places: Places
    """Where each was given, in order."""
    source: str
    """Words for what has no place."""
    notes: tuple[str, ...] = ()
    """What was passed over, one line each."""

    def nearest(self, path: KeyPath) -> KeyPath:
        """The path itself where its place is known, else the nearest one above it; () for the whole."""
        while path and path not in self.places:
            path = path[:-1]
        return path

    def place(self, path: KeyPath) -> str:
        """Words for the nearest place known for `path`."""
        return self.places.get(self.nearest(path), self.source)

    def with_value(self, path: KeyPath, value: Any, place: str) -> "Document":
        """With the value at `path` given, or given again, at `place`; sections that are missing are made.

        Raises:
            ConfigError: the path leads into something that has no keys.
        """
        kept = {known: words for known, words in self.places.items() if known[: len(path)] != path}
        above = {path[:length]: place for length in range(1, len(path)) if path[:length] not in kept}
        values = _placed(self.values, (), path, value, place)
        return replace(self, values=values, places={**kept, **above, path: place})

    def without(self, path: KeyPath) -> "Document":
        """With the key at `path`, which is given, left out and noted."""
        *above, key = path
        inner = {name: value for name, value in _at(self.values, above).items() if name != key}
        note = f"{self.place(path)}: {dotted(path)} is not used here and left out; remove it"
        return replace(
            self,
            values=_placed(self.values, (), tuple(above), inner, self.source),
            places={known: words for known, words in self.places.items() if known[: len(path)] != path},
            notes=(*self.notes, note),
        )


def _at(values: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        values = values[step]
    return values


def _placed(values: Any, above: KeyPath, path: KeyPath, value: Any, place: str) -> Any:
    if not path:
        return value
    if not isinstance(values, dict):
        raise ConfigError(
            f"{place}: {dotted(above)} is {shown(values)} and has no key {path[0]}; set it whole"
        )
    inner = values.get(path[0], {})
    return {**values, path[0]: _placed(inner, (*above, path[0]), path[1:], value, place)}


def read_document(path: Path) -> Document:
    """Read a configuration file.

    Raises:
        ConfigError: there is no such file, it is not UTF-8 text, too large, empty, or not strict YAML that
            holds keys and values.
    """
    values, places = parse(_text(path), lambda line: f"{path}:{line}")
    if values is None:
        raise ConfigError(f"{path}: is empty; it needs at least a section `data:`")
    if not isinstance(values, dict):
        raise ConfigError(f"{path}:1: expected keys and values (`seed: 0`), found {shown(values)}")
    return Document(values, places, str(path))


def override(document: Document, text: str) -> Document:
    """The document with one `key.path=value` of `--set` applied; the value is strict YAML like the file's.

    Raises:
        ConfigError: no such form, or a path into a value that has no keys.
    """
    place = f"--set {without_password(text) if text.isprintable() else shown(text)}"
    dotted_path, equals, value_text = text.partition("=")
    path = tuple(dotted_path.split("."))
    if not equals or not all(path):
        raise ConfigError(f"{place}: write key.path=value, for instance --set training.epochs=5")
    if not value_text.strip():
        raise ConfigError(
            f"{place}: no value after the '='; write null for none, or '\"\"' for an empty text"
        )
    value, _ = parse(value_text, lambda _: place)
    return document.with_value(path, value, place)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist{_near_names(path)}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder; name a configuration file in it") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_BYTES:,} bytes; is it a configuration?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: byte {content[error.start]:#04x} at position {error.start} is not UTF-8; save it as UTF-8"
        ) from None


def _near_names(path: Path) -> str:
    files = sorted(path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
    stems = difflib.get_close_matches(path.stem, {file.stem for file in files}, n=1)
    near = [str(file) for file in files if file.stem in stems]
    return f"; did you mean {' or '.join(near)}?" if near else "; `evosearch init` writes one to start from"
