"""Who wants to know how a search gets on."""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from evosearch.runtime.machine.fold import DriverState
from evosearch.runtime.machine.plan import Plan
from evosearch.storage import Event, LiveCurve

LOG = logging.getLogger(__name__)

MOST_FAILURES = 3
"""So many in a row silence a watcher."""


class Watcher(Protocol):
    """Told what happens, after it is durable; it can change nothing."""

    def note(self, text: str) -> None:
        """One line about what happens outside evaluations."""
        ...

    def wait(self, text: str) -> None:
        """What is waited for before the first training, in a few words; told again where it changes."""
        ...

    def begin(self, plan: Plan, state: DriverState) -> None:
        """The driver is about to go on from `state`; called once for each search of a group, before anything else."""
        ...

    def observe(self, plan: Plan, state: DriverState, facts: Sequence[Event]) -> None:
        """`facts` of the search of `plan` were journaled; `state` is its state after them."""
        ...

    def follow(self, plan: Plan, curves: Sequence[LiveCurve]) -> None:
        """Trainings of the search of `plan` got on; called for each every few seconds at most."""
        ...


class Silence:
    """A watcher that says nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def wait(self, text: str) -> None:
        """Nothing."""

    def begin(self, plan: Plan, state: DriverState) -> None:
        """Nothing."""

    def observe(self, plan: Plan, state: DriverState, facts: Sequence[Event]) -> None:
        """Nothing."""

    def follow(self, plan: Plan, curves: Sequence[LiveCurve]) -> None:
        """Nothing."""


class Watchers:
    """Several watchers as one. What one of them raises is reported once, and three times in a row silence it; nothing of it
    reaches the search, nor the others.
    """

    def __init__(self, *watchers: Watcher) -> None:
        self._failures = [(watcher, 0) for watcher in watchers]
        """In a row, of those that are not silenced."""
        self._told: list[Watcher] = []

    @classmethod
    def of(cls, watcher: Watcher | None) -> "Watchers":
        """The one, guarded; None: nobody."""
        if isinstance(watcher, Watchers):
            return watcher
        return cls(watcher) if watcher else cls()

    def note(self, text: str) -> None:
        """To all."""
        self._tell(lambda watcher: watcher.note(text))

    def wait(self, text: str) -> None:
        """To all."""
        self._tell(lambda watcher: watcher.wait(text))

    def begin(self, plan: Plan, state: DriverState) -> None:
        """To all."""
        self._tell(lambda watcher: watcher.begin(plan, state))

    def observe(self, plan: Plan, state: DriverState, facts: Sequence[Event]) -> None:
        """To all."""
        self._tell(lambda watcher: watcher.observe(plan, state, facts))

    def follow(self, plan: Plan, curves: Sequence[LiveCurve]) -> None:
        """To all."""
        self._tell(lambda watcher: watcher.follow(plan, curves))

    def _tell(self, call: Callable[[Watcher], None]) -> None:
        for position, (watcher, failures) in enumerate(self._failures):
            if failures == MOST_FAILURES:
                continue
            try:
                call(watcher)
                self._failures[position] = watcher, 0
            except Exception as error:  # whatever it is, it is the watcher's own
                self._failures[position] = watcher, failures + 1
                self._complain(watcher, error, silenced=failures + 1 == MOST_FAILURES)

    def _complain(self, watcher: Watcher, error: Exception, *, silenced: bool) -> None:
        name = type(watcher).__name__
        if silenced:
            LOG.warning("the watcher %s failed %d times in a row and is called no more", name, MOST_FAILURES)
        if watcher not in self._told:
            self._told.append(watcher)
            LOG.warning(
                "the watcher %s failed (%s: %s); the search goes on",
                name,
                type(error).__name__,
                " ".join(str(error).split()),
            )
