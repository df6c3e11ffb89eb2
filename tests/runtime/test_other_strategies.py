"""Strategies that know no generations, or breed something else than networks, on the real driver, kills included."""

import pytest

from evosearch.errors import StaleTermError
from evosearch.evaluation import Losses, Masks
from evosearch.runtime import Plan
from evosearch.storage import Born, Completed, Finished, GenerationStarted
from evosearch.testing import BitBreeder, LaggedStrategy, Script
from tests.runtime.small_search import Drive, MemoryLogbook, make_plan


class DyingLogbook(MemoryLogbook):
    """Takes `left` transactions; then its driver is dead."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def append(self, facts):
        if self.left == 0:
            raise StaleTermError("killed")
        self.left -= 1
        super().append(facts)


def plan_of(strategy) -> Plan:
    return Plan("small", strategy, make_plan().context, "data")


def course(drive):
    """What was born and what came of it, in order of number."""
    born = {fact.trial: str(fact.candidate.subject) for fact in drive.logbook.of(Born)}
    ended = {fact.trial: fact.success for fact in drive.logbook.of(Finished)}
    return sorted((trial.number, born[trial], ended.get(trial)) for trial in born)


@pytest.mark.parametrize("strategy", [LaggedStrategy(), BitBreeder()], ids=lambda one: type(one).__name__)
def test_wherever_its_driver_is_killed_it_comes_to_the_same_end(strategy):
    plan = plan_of(strategy)
    undisturbed = Drive(plan, script=Script(workers=2, shuffle=1))
    end = undisturbed()
    assert isinstance(undisturbed.logbook.facts[-1], Completed)
    for left in range(2, len(undisturbed.logbook.transactions)):
        killed = Drive(plan, script=Script(workers=2, shuffle=left), logbook=DyingLogbook(left))
        with pytest.raises(StaleTermError):
            killed()
        resumed = Drive(plan, script=Script(workers=3, shuffle=left + 1))
        assert resumed(killed.logbook.facts).search == end.search
        assert course(resumed) == course(undisturbed)


def test_without_generations_slots_stay_full_and_candidates_are_born_as_others_end():
    drive = Drive(plan_of(LaggedStrategy(slots=3)), script=Script(workers=3))
    drive()
    births = [sum(isinstance(fact, Born) for fact in facts) for facts in drive.logbook.transactions]
    first, *others = [count for count in births if count]
    assert first == 3 and sum(others) == 9 and len(others) > 3
    assert len(drive.logbook.of(GenerationStarted)) == 1


def test_masks_are_journaled_with_the_loss_of_each():
    drive = Drive(plan_of(BitBreeder()))
    state = drive()
    assert all(isinstance(fact.candidate.subject, Masks) for fact in drive.logbook.of(Born))
    assert all(len(fact.success.losses) == 5 for fact in drive.logbook.of(Finished))
    assert all(isinstance(known, Losses) for _, known in state.remembered.values())
