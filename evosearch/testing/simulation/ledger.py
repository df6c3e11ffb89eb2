"""A journal in memory: what `Journal` promises to drivers, without a database."""

from collections.abc import Iterator, Sequence

from evosearch.errors import SearchConflictError, StaleTermError
from evosearch.storage import (
    DriverStarted,
    Event,
    LiveCurve,
    Recorded,
    SearchCreated,
)


class Ledger:
    """The writing half of `evosearch.storage.Journal`, method by method, and `replay`; see there.

    A test holds the two against each other: equal simulations leave equal events, terms and numbers in both.
    """

    place = "memory"

    def __init__(self) -> None:
        self._events: dict[str, list[Recorded]] = {}
        self._terms: dict[str, int] = {}

    def create_search(self, name: str, event: SearchCreated, at: float) -> None:
        """As `Journal.create_search`."""
        if name in self._terms:
            raise SearchConflictError(f"a search named {name!r} exists in {self.place}")
        self._terms[name], self._events[name] = 0, []
        self._add(name, [event], at)

    def begin_term(self, name: str, expected: int, event: DriverStarted, at: float) -> int:
        """As `Journal.begin_term`."""
        self._fence(name, expected)
        self._terms[name] = expected + 1
        self._add(name, [event], at)
        return expected + 1

    def append(self, name: str, term: int, facts: Sequence[Event], at: float) -> int:
        """As `Journal.append`."""
        self._fence(name, term)
        self._add(name, facts, at)
        return len(self._events[name])

    def beat(self, name: str, term: int, at: float) -> None:  # noqa: ARG002 - nobody looks at it here
        """As `Journal.beat`."""
        self._fence(name, term)

    def show(self, name: str, term: int, curves: Sequence[LiveCurve]) -> None:  # noqa: ARG002 - likewise
        """As `Journal.show`."""
        self._fence(name, term)

    def end(self, name: str) -> tuple[int, int]:
        """As `Journal.end`."""
        return self._term(name), len(self._events[name])

    def replay(self, name: str, after: int = 0) -> Iterator[Recorded]:
        """As `Journal.replay`."""
        self._term(name)
        yield from self._events[name][after:]

    def _term(self, name: str) -> int:
        if name not in self._terms:
            raise SearchConflictError(f"there is no search named {name!r} in {self.place}")
        return self._terms[name]

    def _fence(self, name: str, term: int) -> None:
        if (newest := self._term(name)) != term:
            raise StaleTermError(
                f"search {name!r} was taken over by a newer driver (term {newest} > {term}); this one stops"
            )

    def _add(self, name: str, facts: Sequence[Event], at: float) -> None:
        events = self._events[name]
        events += [Recorded(n, self._terms[name], at, fact) for n, fact in enumerate(facts, len(events) + 1)]
