"""What a journal says of machines and places, replaced by words that name none.

Only what nothing rests on is changed: a replay compares networks and their places in a search, and data are compared by their
hash. What is kept of a path is what finds the same thing on another machine: its part below $EVOSEARCH_DATA, else its last
component.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from evosearch.errors import InputError
from evosearch.storage.urls import real_path

_WORKER = re.compile(r"(.+)-((?:cpu|gpu)\d*-\d+)")
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>|]*", re.IGNORECASE)
_PATH = re.compile(r"""(?<![\w./~-])(?:~[\w-]*)?(?:/[^\s/'"<>|:,;()\[\]]+)+/?""")
_NUMBERED = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\w)")


@dataclass
class Nameless:
    """Changes the rows of one journal after another in their order, so that one machine has one name in all of them."""

    data: Path | None = None
    """The folder of data sets, whose name nothing keeps; None: there is none."""
    _hosts: dict[str, str] = field(default_factory=dict)
    _workers: dict[str, str] = field(default_factory=dict)

    def change(self, table: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """A row of a truth table of the journal; see `evosearch.storage.journal.adoption.Change`."""
        if table == "drivers":
            return {**row, "host": self.host(row["host"]), "pid": 0}
        if table != "events" or (told := self._FIELDS.get(row["kind"])) is None:
            return row
        payload = json.loads(row["payload"])
        given = {key: value for key, value in payload.items() if key in told and value is not None}
        changed = payload | {key: told[key](self, value) for key, value in given.items()}
        return {**row, "payload": json.dumps(changed, separators=(",", ":"))}

    def host(self, name: str) -> str:
        """What a machine is called: host-1, host-2, in the order in which they are met."""
        return self._hosts.setdefault(name, f"host-{len(self._hosts) + 1}")

    def worker(self, name: str) -> str:
        """What a worker is called: as workers are, after their machine and device."""
        if found := _WORKER.fullmatch(name):
            return f"{self.host(found[1])}-{found[2]}"
        return self._workers.setdefault(name, f"worker-{len(self._workers) + 1}") if name else name

    def text(self, words: str) -> str:
        """A message, in which a machine or a path may be named anywhere."""
        words = _PATH.sub(lambda one: _last(one[0]), _URL.sub(lambda one: _last_of_url(one[0]), words))
        for name, other in sorted((self._hosts | self._workers).items(), key=lambda one: -len(one[0])):
            words = re.sub(rf"(?<![\w.-]){re.escape(name)}(?!\w)", other, words)
        return _NUMBERED.sub(lambda one: self.host(one[0]), words)

    def place(self, text: str) -> str:
        """A value of a configuration, which is a path from the root on, a URL, or neither and stays."""
        if "://" in text:
            return _last_of_url(text)
        if not text.startswith(("/", "~")):
            return text
        try:
            path = real_path(Path(text))
            if self.data is not None and path != (data := real_path(self.data)) and path.is_relative_to(data):
                return str(path.relative_to(data))
        except InputError:  # a user that is not known here
            pass
        return _last(text)

    def configuration(self, document: Any) -> Any:
        """A journaled configuration: the next machine has a cluster, a home and a store of its own."""
        found = self._places(document)
        if not isinstance(found, dict):
            return found
        for section, keys in (("storage", ("journal", "artifacts")), ("workers", ("address",))):
            if isinstance(inner := found.get(section), dict):
                found[section] = {**inner, **{key: None for key in keys if key in inner}}
        return found

    def _places(self, value: Any, key: str = "") -> Any:
        match value:
            case dict():
                return {key: self._places(inner, key) for key, inner in value.items()}
            case list():
                return [self._places(inner) for inner in value]
            case str():
                return None if key == "beside" else self.place(value)
            case _:
                return value

    def _failure(self, document: Any) -> Any:
        return {**document, "message": self.text(document["message"])}

    _FIELDS: ClassVar[Mapping[str, Mapping[str, Callable[["Nameless", Any], Any]]]] = {
        "SearchCreated": {"configuration": configuration, "environment": _places},
        "DriverStarted": {
            "host": host,
            "pid": lambda _, __: 0,
            "configuration": configuration,
        },
        "ProcessorSeen": {"worker": worker},
        "PrecisionResolved": {"worker": worker},
        "Dispatched": {"worker": worker},
        "Finished": {"worker": worker, "node": host},
        "Failed": {"worker": worker, "failure": _failure},
        "Interrupted": {"reason": text},
        "Stopped": {"message": text},
        "TestReadingBegun": {"worker": worker},
        "TestRead": {"worker": worker},
        "TestReadingFailed": {"worker": worker, "failure": _failure},
    }
    """Of each kind of event, which of its fields may name a machine or a place, and what becomes of it."""


def _last(place: str) -> str:
    return place.rstrip("/").rpartition("/")[2]


def _last_of_url(url: str) -> str:
    return _last(url.partition("://")[2].partition("/")[2]) or "URL"
