"""Events to JSON and back, led by their annotations: a new event needs no code here."""

import json
from collections.abc import Mapping
from dataclasses import is_dataclass
from enum import Enum
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from evosearch.errors import InvalidChromosomeError, JournalError, NewerJournalError
from evosearch.genome import Chromosome, parse
from evosearch.storage.events import Event

KINDS: Mapping[str, type[Event]] = {event.__name__: event for event in get_args(Event)}
"""Every event by its kind, the name of its class."""

_hints = cache(get_type_hints)


def encode(event: Event) -> tuple[str, str]:
    """The kind of `event`, and its fields as JSON text; a chromosome stands in its text form.

    Raises:
        TypeError: a field holds something that JSON cannot give back equal, for instance a tuple inside a
            configuration.
    """
    kind = type(event).__name__
    return kind, json.dumps(_write(type(event), event, kind), separators=(",", ":"))


def decode(kind: str, payload: str, journal: str = "the journal") -> Event:
    """The inverse of `encode`. `journal`: words for where it was read, for messages.

    Raises:
        JournalError: no event of this version is of that kind, or the payload does not fit it.
    """
    if kind not in KINDS:
        raise NewerJournalError(
            f"{journal} holds an event of the unknown kind {kind!r}, written by a newer evosearch; "
            "upgrade evosearch to read it"
        )
    try:
        event: Event = _read(KINDS[kind], json.loads(payload))
    except (AttributeError, InvalidChromosomeError, KeyError, TypeError, ValueError) as error:
        raise JournalError(
            f"{journal} is damaged: a {kind} event reads {payload[:80]!r} ({error!r}); restore it from a copy"
        ) from error
    return event


def _write(hint: Any, value: Any, place: str) -> Any:
    if hint is Chromosome:
        return str(value)
    if isinstance(hint, type) and is_dataclass(hint):
        return {
            name: _write(of, getattr(value, name), f"{place}.{name}") for name, of in _hints(hint).items()
        }
    if get_origin(hint) is tuple:
        return [_write(get_args(hint)[0], item, place) for item in value]
    return _checked(value, place) if get_origin(hint) is Mapping else value


def _checked(value: Any, place: str) -> Any:
    """A free-form value whose every part survives JSON."""
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _checked(item, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_checked(item, place) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{place} is {value!r}; turn it into plain JSON values before journaling it")


def _read(hint: Any, document: Any) -> Any:
    if hint is Chromosome:
        return parse(document)
    if isinstance(hint, type) and is_dataclass(hint):
        hints = _hints(hint)
        return hint(**{name: _read(hints[name], value) for name, value in document.items()})
    if get_origin(hint) is tuple:
        return tuple(_read(get_args(hint)[0], item) for item in document)
    return hint(document) if isinstance(hint, type) and issubclass(hint, Enum) else document
