"""Events to JSON and back, led by their annotations: a new event needs no code here.

A dataclass is an object of its fields. One that equals what its absence means is left out; that is its default,
or its metadata's `absent` where the default has changed since. It stands under its name, or its metadata's `key`.
What has a text form (`TEXTS`) stands as that text. In a union, text, null, numbers and objects tell themselves
apart; of several classes each but the one that was there first has a constant `KIND`, which stands under `kind`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache, reduce
from operator import or_
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from evosearch.errors import InvalidChromosomeError, JournalError, NewerJournalError
from evosearch.genome import Chromosome, parse
from evosearch.storage.events import Event
from evosearch.storage.formats import present_form

KINDS: Mapping[str, type[Event]] = {event.KIND: event for event in get_args(Event)}
"""Every event by its kind."""

TEXTS: Mapping[Any, tuple[Callable[[Any], str], Callable[[str], Any]]] = {Chromosome: (str, parse)}
"""What has a text form, a class or a union: how it is written, and how it is read."""

_PLAIN: Mapping[Any, tuple[type, ...]] = {str: (str,), bool: (bool,), int: (int,), float: (float, int)}


class _UnknownWordError(Exception):
    """A key or a tag that no version up to this one has written."""


def encode(event: Event) -> tuple[str, str]:
    """The kind of `event`, and its fields as JSON text.

    Raises:
        TypeError: a field holds something that JSON cannot give back equal, for instance a tuple inside a
            configuration.
    """
    kind = event.KIND
    return kind, json.dumps(_write(type(event), event, kind), separators=(",", ":"))


def decode(kind: str, payload: str, journal: str = "the journal") -> Event:
    """The inverse of `encode`, for what any version up to this one wrote. `journal`: words for where it was read,
    for messages.

    Raises:
        NewerJournalError: the kind, or a field, is none of this version.
        JournalError: the payload fits no form of its kind.
    """
    try:
        now, document = present_form(kind, json.loads(payload))
        if now not in KINDS:
            raise _UnknownWordError(f"an event of the unknown kind {kind!r}")
        event: Event = _read(KINDS[now], document)
    except _UnknownWordError as error:
        raise NewerJournalError(
            f"{journal} holds {error}, written by a newer evosearch; upgrade evosearch to read it"
        ) from None
    except (
        AttributeError,
        InvalidChromosomeError,
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise JournalError(
            f"{journal} is damaged: a {kind} event reads {payload[:80]!r} ({error!r}); restore it from a copy"
        ) from error
    return event


def _write(hint: Any, value: Any, place: str) -> Any:
    if hint in TEXTS:
        return TEXTS[hint][0](value)
    if _is_record(hint):
        return {
            one.key: _write(one.hint, found, f"{place}.{one.name}")
            for one in _parts(hint)
            if (found := getattr(value, one.name)) != one.absent
        }
    if get_origin(hint) in {Union, UnionType}:
        return None if value is None else _write_member(_given(hint), value, place)
    if get_origin(hint) is tuple:
        return [_write(get_args(hint)[0], item, place) for item in value]
    if isinstance(value, Enum):
        return value.value
    return _checked(value, place) if get_origin(hint) is Mapping else value


def _write_member(hint: Any, value: Any, place: str) -> Any:
    if hint in TEXTS or get_origin(hint) not in {Union, UnionType}:
        return _write(hint, value, place)
    member = next((one for one in get_args(hint) if _belongs_to(value, one)), None)
    if member is None:
        raise TypeError(f"{place} is {value!r}, which is none of {hint}")
    document = _write(member, value, place)
    return {"kind": member.KIND, **document} if hasattr(member, "KIND") else document


def _belongs_to(value: Any, member: Any) -> bool:
    if get_origin(member) is Literal:
        return value in get_args(member)
    return type(value) is member or (get_origin(member) is not None and isinstance(value, get_origin(member)))


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
    if hint in TEXTS:
        return TEXTS[hint][1](_of_type(document, str))
    if _is_record(hint):
        return _read_record(hint, _of_type(document, dict))
    if get_origin(hint) in {Union, UnionType}:
        is_none = document is None and NoneType in get_args(hint)
        return None if is_none else _read_member(_given(hint), document)
    if get_origin(hint) is tuple:
        return tuple(_read(get_args(hint)[0], item) for item in _of_type(document, list))
    if get_origin(hint) is Mapping:
        return _of_type(document, dict)
    if get_origin(hint) is Literal:
        return get_args(hint)[get_args(hint).index(document)]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(document)
    return _of_type(document, *_PLAIN[hint])


def _read_record(hint: Any, document: Mapping[str, Any]) -> Any:
    parts = {one.key: one for one in _parts(hint)}
    if missing := [key for key, one in parts.items() if key not in document and one.absent is MISSING]:
        raise KeyError(missing[0])
    if unknown := [key for key in document if key not in parts]:
        raise _UnknownWordError(f"an event with the unknown field {unknown[0]!r}")
    return hint(
        **{
            one.name: _read(one.hint, document[key]) if key in document else one.absent
            for key, one in parts.items()
        }
    )


def _read_member(hint: Any, document: Any) -> Any:
    """What `document` is as a member of the union `hint`, or as `hint` itself where it is none."""
    if hint in TEXTS or get_origin(hint) not in {Union, UnionType}:
        return _read(hint, document)
    records = [one for one in get_args(hint) if _is_record(one)]
    if isinstance(document, dict) and records:
        return _read_tagged(records, document)
    for member in get_args(hint):
        if member not in records and _fits(member, document):
            return _read(member, document)
    raise TypeError(f"{str(document)[:40]!r} is none of {hint}")


def _read_tagged(records: list[Any], document: Mapping[str, Any]) -> Any:
    tagged = {one.KIND: one for one in records if hasattr(one, "KIND")}
    tag = document.get("kind")
    if tag in tagged:
        return _read_record(tagged[tag], {key: value for key, value in document.items() if key != "kind"})
    for one in records:
        if one not in tagged.values():
            return _read_record(one, document)
    raise _UnknownWordError(f"something of the unknown kind {tag!r}")


def _fits(member: Any, document: Any) -> bool:
    return type(document) in ((str,) if member in TEXTS else _PLAIN.get(member, ())) or (
        _belongs_to(document, member)
    )


@cache
def _given(hint: Any) -> Any:
    """The union `hint` without None."""
    return reduce(or_, (one for one in get_args(hint) if one is not NoneType))


def _of_type(document: Any, *types: type) -> Any:
    if type(document) not in types:
        raise TypeError(f"{str(document)[:40]!r} is no {types[0].__name__}")
    return document


def _is_record(hint: Any) -> bool:
    return isinstance(hint, type) and is_dataclass(hint) and hint not in TEXTS


@dataclass(frozen=True)
class _Part:
    """A field as it stands in journals. `absent`: what a payload without it means, MISSING where it must be there."""

    name: str
    key: str
    hint: Any
    absent: Any


@cache
def _parts(record: type) -> tuple[_Part, ...]:
    hints = get_type_hints(record)
    return tuple(
        _Part(one.name, one.metadata.get("key", one.name), hints[one.name], _absent(one))
        for one in fields(record)
    )


def _absent(one: Field[Any]) -> Any:
    if one.default_factory is not MISSING:
        return one.metadata.get("absent", one.default_factory())
    return one.metadata.get("absent", one.default)
