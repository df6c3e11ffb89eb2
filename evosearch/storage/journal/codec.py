"""Events to JSON and back, led by their annotations, and from what older versions journaled to what is written now: a new
event needs no code here.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache, reduce
from operator import or_
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from evosearch.errors import InvalidChromosomeError, JournalError, NewerJournalError
from evosearch.evaluation import Subject, parse_subject
from evosearch.genome import Chromosome, Operation, parse
from evosearch.storage.journal.events import Event

Payload: TypeAlias = Mapping[str, Any]


def present_form(kind: str, payload: Payload) -> tuple[str, Payload]:
    """The kind and the payload that this version would write for what was journaled as `kind` and `payload`.

    Raises:
        AttributeError, KeyError, TypeError: the payload has no form that was ever written.
    """
    translation = TRANSLATIONS.get(kind)
    return translation(payload) if translation else (kind, payload)


def _born(payload: Payload) -> tuple[str, Payload]:
    """Schema 1 knew no networks but chromosomes, and called them so."""
    return "Born", {**payload, "candidate": _renamed(payload["candidate"], "chromosome", "subject")}


def _renamed(payload: Payload, old: str, new: str) -> Payload:
    if old not in payload:
        return payload
    return {new if key == old else key: value for key, value in payload.items()}


def _search_created(payload: Payload) -> tuple[str, Payload]:
    """Schema 1 left the number of generations to the configuration, where a random search gives none."""
    total = payload["configuration"].get("strategy", {}).get("generations", 1)
    return "SearchCreated", {"generations": total, **payload}


TRANSLATIONS: Mapping[str, Callable[[Payload], tuple[str, Payload]]] = {
    "Born": _born,
    "SearchCreated": _search_created,
}
"""One for each kind that was ever written otherwise than now."""


KINDS: Mapping[str, type[Event]] = {event.KIND: event for event in get_args(Event)}
"""Every event by its kind."""

TEXTS: Mapping[Any, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    Chromosome: (str, parse),
    Subject: (str, parse_subject),
}
"""What has a text form, a class or a union: how it is written, and how it is read."""

_PLAIN: Mapping[Any, tuple[type, ...]] = {str: (str,), bool: (bool,), int: (int,), float: (float, int)}
"""What JSON has of itself, and as what Python reads it."""


class _UnknownWordError(Exception):
    """A key or a tag that no version up to this one has written."""


def encode(event: Event) -> tuple[str, str]:
    """The kind of `event`, and its fields as JSON text.

    Raises:
        TypeError: a field holds something that JSON cannot give back equal, for instance a tuple inside a
            configuration.
    """
    kind = event.KIND
    record: Any = type(event)
    return kind, json.dumps(_form(record).write(event, kind), separators=(",", ":"))


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
        record: Any = KINDS[now]
        event: Event = _form(record).read(document)
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


def operations_to_json(operations: Iterable[Operation]) -> list[dict[str, Any]]:
    """What operators did, as a journal keeps it: an object each, with its `kind` and its fields."""
    form = _form(Operation)
    return [form.write(operation, "operations") for operation in operations]


@dataclass(frozen=True)
class _Form:
    """How values of one annotation are written in JSON. `write` takes the value and its place, for messages."""

    write: Callable[[Any, str], Any]
    read: Callable[[Any], Any]


@cache  # annotations are looked at once, values often
def _form(hint: Any) -> _Form:
    if hint in TEXTS:
        write, read = TEXTS[hint]
        return _Form(lambda value, _: write(value), lambda document: read(_of_type(document, str)))
    if _is_record(hint):
        return _record_form(hint)
    if get_origin(hint) in {Union, UnionType}:
        return _union_form(hint)
    if get_origin(hint) is tuple:
        item = _form(get_args(hint)[0])
        return _Form(
            lambda value, place: [item.write(one, place) for one in value],
            lambda document: tuple(item.read(one) for one in _of_type(document, list)),
        )
    if get_origin(hint) is Mapping:
        return _Form(_checked, lambda document: shallow(_of_type(document, dict)))
    if get_origin(hint) is Literal:
        allowed = get_args(hint)
        return _Form(lambda value, _: value, lambda document: allowed[allowed.index(document)])
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _Form(lambda value, _: value.value, hint)
    types = _PLAIN[hint]
    return _Form(lambda value, _: value, lambda document: _of_type(document, *types))


@dataclass(frozen=True)
class _Part:
    """A field as it is in journals. `absent`: what a payload without it means, MISSING where it must be there."""

    name: str
    key: str
    form: _Form
    absent: Any


def _record_form(record: Any) -> _Form:
    hints = get_type_hints(record)
    parts = [
        _Part(one.name, one.metadata.get("key", one.name), _form(hints[one.name]), _absent(one))
        for one in fields(record)
    ]
    by_key = {part.key: part for part in parts}
    defaults = {part.name: part.absent for part in parts if part.absent is not MISSING}
    needed = {part.key for part in parts if part.absent is MISSING}

    def write(value: Any, place: str) -> dict[str, Any]:
        return {
            part.key: part.form.write(found, f"{place}.{part.name}")
            for part in parts
            if (found := getattr(value, part.name)) != part.absent
        }

    def read(document: Any) -> Any:
        if not needed <= _of_type(document, dict).keys():
            raise KeyError(min(needed - document.keys()))
        given = {part.name: part.form.read(value) for part, value in _known(by_key, document)}
        return record(**defaults | given)

    return _Form(write, read)


def _known(by_key: Mapping[str, _Part], document: Mapping[str, Any]) -> Iterator[tuple[_Part, Any]]:
    for key, value in document.items():
        if key not in by_key:
            raise _UnknownWordError(f"an event with the unknown field {key!r}")
        yield by_key[key], value


def _absent(field: Field[Any]) -> Any:
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return field.metadata.get("absent", default)


def _union_form(union: Any) -> _Form:
    given = [one for one in get_args(union) if one is not NoneType]
    members: Any = reduce(or_, given)  # a union that has a text form may be in one with None
    form = _form(members) if members in TEXTS or len(given) == 1 else _members_form(given)
    if len(given) == len(get_args(union)):
        return form
    return _Form(
        lambda value, place: None if value is None else form.write(value, place),
        lambda document: None if document is None else form.read(document),
    )


def _members_form(members: list[Any]) -> _Form:
    records = [one for one in members if _is_record(one)]
    tagged = {one.KIND: one for one in records if hasattr(one, "KIND")}
    untagged = [one for one in records if not hasattr(one, "KIND")]

    def write(value: Any, place: str) -> Any:
        member = next((one for one in members if _belongs_to(value, one)), None)
        if member is None:
            raise TypeError(f"{place} is {value!r}, which is none of {members}")
        document = _form(member).write(value, place)
        return {"kind": member.KIND, **document} if member in tagged.values() else document

    def read(document: Any) -> Any:
        if not (isinstance(document, dict) and records):
            for member in members:
                if member not in records and _fits(document, member):
                    return _form(member).read(document)
            raise TypeError(f"{str(document)[:40]!r} is none of {members}")
        tag = document.get("kind")
        if tag in tagged:
            untold = {key: value for key, value in document.items() if key != "kind"}
            return _form(tagged[tag]).read(untold)
        if not untagged:
            raise _UnknownWordError(f"something of the unknown kind {tag!r}")
        return _form(untagged[0]).read(document)

    return _Form(write, read)


def _belongs_to(value: Any, member: Any) -> bool:
    if get_origin(member) is Literal:
        return value in get_args(member)
    return type(value) is member or (get_origin(member) is not None and isinstance(value, get_origin(member)))


def _fits(document: Any, member: Any) -> bool:
    if member in TEXTS:
        return isinstance(document, str)
    return type(document) in _PLAIN.get(member, ()) or _belongs_to(document, member)


def _checked(value: Any, place: str) -> Any:
    """A free-form value whose every part survives JSON."""
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _checked(item, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_checked(item, place) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{place} is {value!r}; turn it into plain JSON values before journaling it")


DEEPEST = 64
"""Levels of lists and objects in a free-form value; far more than any version wrote, far less than Python can nest."""


def shallow(document: Any) -> Any:
    """A free-form value of JSON, once it is known that it can be walked and written again.

    Raises:
        ValueError: it is nested deeper than anything that was ever journaled.
    """
    level = [document]
    for _ in range(DEEPEST):
        inner = [
            list(one.values()) if isinstance(one, dict) else one
            for one in level
            if isinstance(one, dict | list)
        ]
        if not inner:
            return document
        level = [item for one in inner for item in one]
    raise ValueError(f"nested deeper than {DEEPEST} levels")


def _of_type(document: Any, *types: type) -> Any:
    if type(document) not in types:
        raise TypeError(f"{str(document)[:40]!r} is no {types[0].__name__}")
    return document


def _is_record(hint: Any) -> bool:
    return isinstance(hint, type) and is_dataclass(hint) and hint not in TEXTS
