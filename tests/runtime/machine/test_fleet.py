"""Several searches on one pool, and a generation that drains."""

import itertools
from dataclasses import replace

import pytest

from evosearch.errors import InterruptedSearchError, TooManyFailuresError
from evosearch.evaluation import FailureKind, TrialId
from evosearch.runtime import Begun, Fleet, Member, Silence, Surroundings, Worker, drive, replay, step
from evosearch.runtime.machine import step as machine
from evosearch.runtime.machine.fold import indexed
from evosearch.runtime.scheduling.order import waiting
from evosearch.search import EavlSettings
from evosearch.storage import Born, Completed, Dispatched, Finished, GenerationStarted, Interrupted, Stopped
from evosearch.testing import (
    FailingEvaluator,
    FormulaEvaluator,
    RaisingEvaluator,
    Script,
    ScriptedPool,
    Victims,
)
from tests.runtime.small_search import Drive, MemoryLogbook, make_plan

SETTINGS = EavlSettings(population=8, generations=4, elites=2, immigrants=2)


def together(plans, script, evaluator=None, stop_reason=lambda: None):
    """Drive the plans in one fleet; their logbooks, and the pool."""
    logbooks = {plan.name: MemoryLogbook() for plan in plans}
    pool = ScriptedPool(evaluator or FormulaEvaluator(), script)
    pool.start()
    world = Surroundings(pool, logbooks, lambda: 0.0, stop_reason, Silence())
    fleet = Fleet.of(*(Member(plan, replay(plan, ())) for plan in plans))
    return logbooks, pool, lambda: drive(fleet, world)


@pytest.fixture
def plans():
    return [make_plan(SETTINGS, name=f"group/seed-{seed}", seed=seed) for seed in range(3)]


@pytest.mark.parametrize("workers", [1, 4, 40])
def test_each_search_of_a_group_ends_as_it_would_have_alone(plans, workers):
    logbooks, _, go = together(plans, Script(workers, shuffle=workers))
    fleet = go()
    for plan in plans:
        assert fleet.members[plan.name].state.search == Drive(plan)().search
        assert isinstance(logbooks[plan.name].facts[-1], Completed)


def test_the_workers_of_a_group_are_idle_only_when_nothing_is_left_for_any_of_them(plans):
    _, pool, go = together(plans, Script(4, shuffle=1))
    busy = []
    poll = pool.poll

    def watched(timeout):
        busy.append(len(pool._running))
        return poll(timeout)

    pool.poll = watched
    go()
    full = [index for index, count in enumerate(busy) if count == 4]
    assert len(full) / len(busy[full[0] : full[-1]]) > 0.95


def test_when_one_search_of_a_group_stops_the_others_end_and_the_command_says_which(plans):
    victims = frozenset(str(member.chromosome) for member in plans[1].strategy.start().members)
    doomed = FailingEvaluator(Victims(victims), kind=FailureKind.ERROR)
    logbooks, _, go = together(plans, Script(4), doomed)
    with pytest.raises(TooManyFailuresError, match=r"'group/seed-1' stopped.*resume group/seed-1"):
        go()
    last = {name: type(logbook.facts[-1]) for name, logbook in logbooks.items()}
    assert last == {"group/seed-0": Completed, "group/seed-1": Stopped, "group/seed-2": Completed}


def test_a_stop_reaches_every_search_of_a_group(plans):
    turns = itertools.count()
    logbooks, _, go = together(plans, Script(4), stop_reason=lambda: "SIGTERM" if next(turns) > 5 else None)
    with pytest.raises(InterruptedSearchError, match="evosearch resume group`"):
        go()
    assert all(logbook.facts[-1] == Interrupted("SIGTERM") for logbook in logbooks.values())


def test_while_a_generation_drains_free_workers_train_the_next_ones_immigrants(plan):
    drive = Drive(plan, script=Script(5))
    drive()
    started = {
        fact.generation: index
        for index, fact in enumerate(drive.logbook.facts)
        if isinstance(fact, GenerationStarted)
    }
    generation = {fact.candidate.number: fact.candidate.generation for fact in drive.logbook.of(Born)}
    early = [
        fact.number
        for index, fact in enumerate(drive.logbook.facts)
        if isinstance(fact, Dispatched) and index < started[generation[fact.number]]
    ]
    assert {generation[number] for number in early} == {1, 2, 3}


def test_early_immigrants_wait_while_a_member_of_this_generation_can_be_trained(plan):
    """With one worker nothing is ever early: it always has a member to train."""
    drive = Drive(plan)
    drive()
    generation = {fact.candidate.number: fact.candidate.generation for fact in drive.logbook.of(Born)}
    order = [generation[fact.number] for fact in drive.logbook.of(Dispatched)]
    assert order == sorted(order)


def test_nothing_is_born_beyond_the_last_generation(plan):
    drive = Drive(plan, script=Script(40))
    drive()
    assert max(fact.candidate.generation for fact in drive.logbook.of(Born)) == SETTINGS.generations - 1
    assert len(drive.logbook.of(Born)) == len({f.candidate.number for f in drive.logbook.of(Born)}) == 26
    assert len(drive.logbook.of(Finished)) <= 26


def test_a_driver_killed_while_early_immigrants_train_goes_on_to_the_same_end(plan):
    undisturbed = Drive(plan, script=Script(6, shuffle=3))
    expected = undisturbed().search
    for kept in range(1, len(undisturbed.logbook.transactions), 3):
        before = list(itertools.chain(*undisturbed.logbook.transactions[:kept]))
        resumed = Drive(plan, script=Script(7, shuffle=kept))
        assert resumed(before).search == expected
        ended = [fact.number for fact in resumed.logbook.of(Finished)]
        assert len(ended) == len(set(ended))


def test_an_early_immigrant_that_failed_for_good_keeps_the_worst_fitness(plan):
    drive = Drive(plan, FailingEvaluator(Victims(every=3), kind=FailureKind.DIVERGED), Script(5))
    one_worker = Drive(plan, FailingEvaluator(Victims(every=3), kind=FailureKind.DIVERGED))
    assert drive().search == one_worker().search


def test_whether_errors_stop_a_search_does_not_depend_on_the_number_of_workers():
    """Two of eight in each of two generations are permitted, also when the second generation's are known early."""
    plan = make_plan(EavlSettings(population=8, generations=2, elites=2, immigrants=4))
    alone = Drive(plan)
    alone()
    immigrants = [
        f.candidate for f in alone.logbook.of(Born) if f.candidate.generation == 1 and not f.candidate.parents
    ]
    first = plan.strategy.start().members
    doomed = frozenset(str(candidate.chromosome) for candidate in (first[2], first[5], *immigrants[:2]))
    for workers in (1, 8):
        drive = Drive(plan, RaisingEvaluator(Victims(doomed)), Script(workers, shuffle=1))
        drive()
        assert isinstance(drive.logbook.facts[-1], Completed)


@pytest.mark.parametrize("workers", [1, 2, 12])
def test_immigrants_that_failed_early_stop_their_generation_as_they_would_have_within_it(workers):
    """Half of the second generation, and nothing else, ends as error."""
    plan = make_plan(EavlSettings(population=10, generations=3, elites=2, immigrants=5))
    alone = Drive(plan)
    alone()
    born = [fact.candidate for fact in alone.logbook.of(Born)]
    doomed = frozenset(str(one.chromosome) for one in born if one.generation == 1 and not one.parents)
    drive = Drive(plan, RaisingEvaluator(Victims(doomed)), Script(workers, shuffle=1))
    with pytest.raises(TooManyFailuresError, match="of generation 1's 10 failed as error or crashed"):
        drive()
    assert isinstance(drive.logbook.facts[-1], Stopped)
    again = Drive(plan, script=Script(workers), logbook=MemoryLogbook())
    assert again(drive.logbook.facts).search == alone().search


def test_an_equal_chromosome_waits_while_another_number_of_it_is_trained(plan):
    fleet, _ = step(Fleet.of(Member(plan, replay(plan, ()))), Begun())
    state = fleet.members["small"].state
    twin = replace(state.open[TrialId(0)], key=state.open[TrialId(5)].key)
    state = indexed(replace(state, open={**state.open, TrialId(0): twin}, running={"busy": TrialId(5)}))
    fleet = replace(
        fleet.with_state("small", state), workers={n: Worker(n, f"{n}/cpu") for n in ("busy", "x", "y")}
    )
    assert 0 not in {one.trial.number for one in waiting(fleet)}


def test_while_workers_stay_idle_each_generation_is_asked_once_for_early_immigrants(plan, monkeypatch):
    asked = []
    real = machine.early_births
    monkeypatch.setattr(
        machine, "early_births", lambda *about: (asked.append(about[1].progress.generation), real(*about))[1]
    )
    Drive(plan, script=Script(40))()
    assert asked == [0, 1, 2, 3]
