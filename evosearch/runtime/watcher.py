"""Who wants to know how a search gets on."""

from collections.abc import Sequence
from typing import Protocol

from evosearch.runtime.plan import Plan
from evosearch.runtime.state import DriverState
from evosearch.storage import Event


class Watcher(Protocol):
    """Told what happens, after it is durable; it can change nothing."""

    def note(self, text: str) -> None:
        """One line about what happens outside evaluations."""
        ...

    def begin(self, plan: Plan, state: DriverState) -> None:
        """The driver is about to go on from `state`; told once of each search of a group, before anything else."""
        ...

    def observe(self, plan: Plan, state: DriverState, facts: Sequence[Event]) -> None:
        """`facts` of the search of `plan` were journaled; `state` is its state after them."""
        ...


class Silence:
    """A watcher that says nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def begin(self, plan: Plan, state: DriverState) -> None:
        """Nothing."""

    def observe(self, plan: Plan, state: DriverState, facts: Sequence[Event]) -> None:
        """Nothing."""
