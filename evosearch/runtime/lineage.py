"""How the candidates of a search came about, where its journal keeps no data of it: they are bred again."""

from collections.abc import Iterable, Mapping

from evosearch.genome import Operation
from evosearch.runtime.plan import Plan
from evosearch.runtime.state import DriverState, evolve
from evosearch.search import SearchProgress
from evosearch.storage import Born, Event, GenerationStarted


def bred_again(plan: Plan, facts: Iterable[Event]) -> Mapping[int, tuple[Operation, ...]]:
    """What was done to make each candidate, by number, as the strategy of `plan` does it from the state that the facts
    before a birth lead to. `facts`: all events of the search, in order; what they keep of operators is not looked at.

    Raises:
        JournalError: as `replay`.
    """
    state, found, born = DriverState.start(plan), dict[int, tuple[Operation, ...] | None](), set[int]()
    for fact in facts:
        if isinstance(fact, Born):
            born.add(fact.candidate.number)
            if fact.candidate.number not in found:
                asked = plan.strategy.ask(state.search, early=True)
                found |= {trial.candidate.number: trial.candidate.operations for trial in asked}
        state = evolve(plan, state, fact)
        if isinstance(
            fact, GenerationStarted
        ):  # the first version passed over generations that were trained early
            found |= _operations(state.progress)
    return {number: one for number in sorted(born) if (one := found.get(number)) is not None}


def _operations(progress: SearchProgress) -> Mapping[int, tuple[Operation, ...] | None]:
    return {member.number: member.operations for member in progress.members}
