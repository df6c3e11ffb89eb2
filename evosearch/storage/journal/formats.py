"""What older versions called things: from the payload that they journaled to the one that is written now.

Journals are never rewritten, so what was journaled once is read for ever. A payload shows by itself how old it is.

- A class is renamed: nothing to do, its `KIND` stays.
- A field is renamed: it keeps its old word, `field(metadata={"key": "old"})`; or it takes the new one, and a
  translation here knows the old one, as `_born` does.
- A field is added: with a default that says what the versions before did. A default that changes later leaves that
  meaning behind: `field(default=new, metadata={"absent": old})`.
- A member of an enumeration is renamed: its value stays.
- A kind is split, merged or given up: a translation here says which kind its payloads are now.

With every new kind, field or value, `evosearch.storage.journal.tables.SCHEMA` rises, so that older versions say that they
are too old instead of misreading it.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

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
