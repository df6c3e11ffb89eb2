"""YAML without its surprises: one document of plain values, every key once, nothing guessed.

The scalars are those of YAML 1.2's core schema: `1e-4` is a number; `no` and `on` are text, as are `1:30` and
`2020-01-01`. Duplicate keys, anchors, aliases, tags and deep nesting are refused.
"""

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

import yaml

from evosearch.errors import ConfigError
from evosearch.storage import without_password

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys (and list positions) from the top to a value."""
Places: TypeAlias = dict[KeyPath, str]
"""Where each value was given, in words for a message, in the order of the text."""

MAX_DEPTH = 20
"""Deepest nesting; PyYAML would otherwise meet Python's own recursion limit."""
MAX_DIGITS = 100
"""Longest whole number; Python refuses to convert back what is longer than some thousand digits."""

_INTEGER_BASES = {"0x": 16, "0o": 8}


def parse(text: str, place: Callable[[int], str]) -> tuple[Any, Places]:
    """Read one YAML document of mappings, lists, text, numbers, booleans and null.

    `place`: words for a line of the text (from 1), put before a message.

    Returns: the value (None for an empty text) and the place of every key and list item.

    Raises:
        ConfigError: the text is not YAML, or uses what is refused here.
    """
    try:
        loader = _StrictLoader(text, place)
        node = loader.get_single_node()
        return (None if node is None else loader.value(node, ())), loader.places
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = " ".join(f"{error.context or ''} {error.problem or ''}".split())
        raise ConfigError(f"{place(mark.line + 1 if mark else 1)}: not valid YAML: {words}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{place(line)}: not valid YAML: the character {chr(error.character)!r} is not allowed"
        ) from None


class _StrictLoader(yaml.SafeLoader):
    def __init__(self, text: str, place: Callable[[int], str]) -> None:
        super().__init__(text)
        self.places: Places = {}
        self._place = place
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node, refusing anchors, aliases, tags and deep nesting before they cost anything."""
        event = self.peek_event()  # type: ignore[no-untyped-call] # of PyYAML
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self._refuse(event, "anchors (&) and aliases (*) are not read; write the value out, or quote it")
        if getattr(event, "tag", None):
            self._refuse(event, f"the tag {event.tag!r} is not read; leave it out, or quote the value")
        if self._depth >= MAX_DEPTH:
            self._refuse(event, f"nested deeper than {MAX_DEPTH} levels")
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        """The plain value of a node at `path`; fills `places` on the way."""
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, (*path, position)) for position, item in enumerate(node.value)]
        return self._scalar(node)

    def _item(self, node: yaml.Node, path: KeyPath) -> Any:
        self.places[path] = self._place(_line(node))
        return self.value(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        lines: dict[str, int] = {}
        values = {}
        for key_node, value_node in node.value:
            key = self.value(key_node, path)
            if not isinstance(key, str):
                self._refuse(key_node, f"a key must be text, found {shown(key)}")
            if key in lines:
                self._refuse(
                    key_node,
                    f"{dotted((*path, key))} is set twice, first on line {lines[key]}; keep one of them",
                )
            lines[key] = _line(key_node)
            self.places[(*path, key)] = self._place(lines[key])
            values[key] = self.value(value_node, (*path, key))
        return values

    def _scalar(self, node: yaml.Node) -> str | int | float | bool | None:
        text: str = node.value
        if "\0" in text:  # no path and no address can hold one
            self._refuse(node, f"{shown(text)} holds a NUL character; leave it out")
        match node.tag.rpartition(":")[2]:
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int" if len(text) > MAX_DIGITS:
                self._refuse(node, f"a whole number of {len(text)} digits is too long")
            case "int":
                return int(text, _INTEGER_BASES.get(text[:2], 10))
            case "float":
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
            case _:
                pass
        try:  # JSON's escapes write one character as a pair of surrogates; YAML's reader leaves them apart
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._refuse(node, f"{shown(text)} holds half a character (a lone surrogate)")

    def _refuse(self, at: yaml.Node | yaml.Event, message: str) -> NoReturn:
        raise ConfigError(f"{self._place(_line(at))}: {message}")


def _line(at: yaml.Node | yaml.Event) -> int:
    return 1 if at.start_mark is None else int(at.start_mark.line) + 1


# YAML 1.2.2, section 10.3.2 "Tag Resolution" of the core schema.
_INT = r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
_StrictLoader.yaml_implicit_resolvers = {}  # of our own: PyYAML's are those of YAML 1.1
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", _INT, [*"-+0123456789"]),
    ("float", _FLOAT, [*"-+.0123456789"]),
):
    _StrictLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first)


def shown(value: object) -> str:
    """A value as a YAML reader would write it, on one line of at most 60 characters, nothing invisible, no password."""
    text = without_password(json.dumps(value, ensure_ascii=False))
    text = text if len(text) <= 60 else f"{text[:59]}…"
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def dotted(path: KeyPath) -> str:
    """A path as a user writes it: `space.channels[0]`; odd keys are quoted."""
    words = (f"[{key}]" if isinstance(key, int) else f".{_key(key)}" for key in path)
    return "".join(words).removeprefix(".")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[\w-]{1,60}", key) else shown(key)
