"""What is wrong with a configuration, a line each: place, key, found value, repair."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from pydantic import ValidationError

from evosearch.config.document import Document
from evosearch.config.model import RunConfig, section_types, settings_of
from evosearch.config.strict_yaml import KeyPath, dotted, shown
from evosearch.errors import ConfigError
from evosearch.studies import STUDIES, STUDY_PARTS

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_KINDS = ", ".join(STUDIES)
_PAIR = "two values, [lowest, highest]"
_MAPPING = "keys and values below it, or leave it out"
_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": _PAIR,
    "too_long": _PAIR,
    "missing": _PAIR,
    "dataclass_type": _MAPPING,
    "dict_type": _MAPPING,
}
"""What each of pydantic's error types asks for, in the words of a YAML file."""


def explain(error: ValidationError, document: Document) -> dict[KeyPath, str]:
    """Every problem that pydantic found, by the key that has it: with its place, found value and repair."""
    problems: dict[KeyPath, ErrorDetails] = {}
    for details in error.errors(include_url=False, include_input=False):
        path = _problem(details, document.values)[0]
        if path in problems:  # of a value that may be of several kinds: what each kind asks for
            asked = [_expected(problems[path]), _expected(details)]
            problems[path]["ctx"] = {"expected": " or ".join(dict.fromkeys(asked))}
            problems[path]["type"] = "value_error"
        else:
            problems[path] = details
    inner = {path[:length] for path in problems for length in range(1, len(path))}
    texts = {
        path: _problem(details, document.values)[1]
        for path, details in problems.items()
        if not (path in inner and details["type"] == "string_type")  # it has keys, and one of them is wrong
    }
    return {path: f"{document.place(path)}: {text}" for path, text in texts.items()}


def together(
    problems: Mapping[KeyPath, str], document: Document, kind: type[ConfigError] = ConfigError
) -> ConfigError:
    """One error of this kind for all `problems`, at least one, in the order of the document.

    What is missing has no place and comes last: a key that was meant may be there misspelt.
    """
    rank = {path: number for number, path in enumerate(document.places)}
    ordered = sorted(problems, key=lambda path: rank.get(document.nearest(path), len(rank)))
    return as_error([problems[path] for path in ordered], kind)


def as_error(lines: Sequence[str], kind: type[ConfigError] = ConfigError) -> ConfigError:
    """One error of this kind for all `lines`, at least one."""
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return kind(f"{lines[0]}{more}", tuple(lines))


def locate(message: str, document: Document) -> str:
    """A room's own message, with the place of the key that it begins with."""
    return f"{document.place(key_of(message))}: {message}"


def key_of(message: str) -> KeyPath:
    """The key that a room's own message begins with.

    >>> key_of("strategy.population is 8, smaller than elites")
    ('strategy', 'population')
    """
    key = re.match(r"[\w.]*", message)
    return tuple(key.group().split(".")) if key else ()


def _problem(details: "ErrorDetails", values: dict[str, Any]) -> tuple[KeyPath, str]:
    path, found = _walk(details["loc"], values)
    kind, context = details["type"], details.get("ctx", {})
    if kind == "missing" and isinstance(found, dict):
        path = (*path, details["loc"][-1])
        return path, f"{dotted(path)} is missing; add it"
    if kind == "unexpected_keyword_argument":
        return path, f"{dotted(path)} is unknown; {_repair(path, values)}"
    if kind == "union_tag_not_found":
        path = (*path, "kind")  # a section that is chosen by name always has one
        return path, f"{dotted(path)} is missing; expected {_alternatives(_KINDS)}"
    if kind == "union_tag_invalid":
        tag = context["discriminator"].strip("'")
        path, found = (*path, tag), found[tag]
        expected = _alternatives(context["expected_tags"])
    elif kind == "tuple_type" and _is_list(path, values):
        expected = "a list, [one, another]"
    else:
        expected = _expected(details)
    return path, f"{dotted(path)} is {shown(found)}; expected {expected.replace(chr(39), '')}"


def _expected(details: "ErrorDetails") -> str:
    expected: str = _EXPECTED.get(details["type"]) or details.get("ctx", {}).get("expected", details["msg"])
    return expected


def _walk(location: tuple[str | int, ...], values: Any) -> tuple[KeyPath, Any]:
    """The part of pydantic's location that the document has; it also names union members, which are no keys."""
    path: KeyPath = ()
    for step in location:
        inside = isinstance(values, dict) and step in values
        if inside or (isinstance(values, list) and isinstance(step, int) and step < len(values)):
            path, values = (*path, step), values[step]
    return path, values


def _repair(path: KeyPath, values: dict[str, Any]) -> str:
    key = str(path[-1])
    known = _known_keys(path[:-1], values)
    # what else a section may be knows no keys of a part of it
    part = path[0] != "data" and len(path) > 2
    for option in section_types(str(path[0])) if len(path) > 1 and not part else ():
        if key in (field.name for field in fields(option)):
            tag = "kind" if path[0] == "study" else "name"
            return f"it belongs to {path[0]}.{tag} {getattr(option, tag)}; known here are {', '.join(known)}"
    if near := difflib.get_close_matches(key, known, n=1):
        return f"did you mean {dotted((*path[:-1], near[0]))}?"
    sections = [field.name for field in fields(RunConfig)]
    elsewhere = [f"{section}.{key}" for section in sections if key in _known_keys((section,), values)]
    if elsewhere:
        return f"did you mean {' or '.join(elsewhere)}?"
    return f"known are {', '.join(known)}"


def _known_keys(path: KeyPath, values: dict[str, Any]) -> list[str]:
    if not path:
        return [field.name for field in fields(RunConfig)]
    chosen = _chosen(path, values)
    return [field.name for field in fields(chosen)] if chosen else []


def _chosen(path: KeyPath, values: dict[str, Any]) -> Any:
    """The dataclass that reads the section at `path`, a union's part, or a part of a study; None: it is a plain key."""
    section = str(path[0])
    options, given = section_types(section), values.get(section)
    if path[:2] == ("data", "parts") and len(path) > 2:
        given = given["parts"][path[2]] if isinstance(given, dict) else None
    told = given if isinstance(given, dict) else {}
    if section == "study" and (of_study := settings_of("study", told)):
        inner = STUDY_PARTS.get(str(path[1])) if len(path) > 1 else None
        options = (inner or of_study,)
    named = (option for option in options if getattr(option, "name", None) == told.get("name"))
    chosen = next(named, options[0] if options else None)
    if section in {"data", "study"} or len(path) < 2:
        return chosen
    hint = get_type_hints(chosen).get(str(path[1])) if chosen else None  # keys below a key
    return next((one for one in (hint, *get_args(hint)) if is_dataclass(one)), None)


def _is_list(path: KeyPath, values: dict[str, Any]) -> bool:
    """Whether a key takes as many values as one likes."""
    depth = 4 if path[:2] == ("data", "parts") else 3 if path[0] == "strategy" and len(path) == 3 else 2
    chosen = _chosen(path[:-1], values) if len(path) == depth else None
    hint = get_type_hints(chosen).get(str(path[-1])) if chosen else None
    return any(get_origin(one) is tuple and Ellipsis in get_args(one) for one in (hint, *get_args(hint)))


def _alternatives(tags: str) -> str:
    """Pydantic's `'a', 'b', 'c'` in words.

    >>> _alternatives("'a', 'b', 'c'")
    "'a', 'b' or 'c'"
    """
    *first, last = tags.split(", ")
    return f"{', '.join(first)} or {last}" if first else last
