"""What the simulation must find: faults written down before it first ran, each planted through a seam.

| fault | where it is planted |
|---|---|
| a commit is dropped | the journal: now and then one is acknowledged and not written |
| a superseded driver still writes | the journal: it compares no terms |
| an early immigrant's result counts in `best` | the strategy |
| an elite is scored again | the strategy: a new generation forgets its elites' scores |
| the order of arrival decides | the strategy: members are bred from in the order in which they were scored |
| a zombie's result is taken | `step`: a report under an old ticket counts for the present attempt |
| recall under the wrong key | the fold: a fitness is remembered for every network of the same head |
| a reopened candidate is finished twice | the rule: what had succeeded is opened too, and the fold forgets its fitness |
| a dead driver's tasks count as running | the fold: a new driver does not forget them |
| a lost worker is held against its candidate | the policy: the second loss gives the worst fitness |
| no loss of a worker stops a search | the policy: there is no end of attempts |
| an attempt's number is used twice | the fold: each driver counts attempts from 1 |
| a checkpoint of another training is continued | the checkpoints' key: the network does not enter it |
| a rung is decided before all have come to it | the strategy: half of the members are enough |
| what was dropped at a rung lives on | the strategy: elites are chosen of all members |
| losses of nodes stop a search, as in the first version | the pool: it does not tell whether the node was lost |
| what reported the error of which a GPU's workers died runs beside others | `step`: it does not tell these apart |
| losses that a GPU's workers share stop a search | the policy: a lost worker's candidate never runs alone |
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from evosearch.evaluation import FailureKind, TrialId
from evosearch.runtime import (
    DriverState,
    Fleet,
    Plan,
    PoolEvent,
    TaskDone,
    WorkerLeft,
    WorkerPool,
    driver,
    settings,
)
from evosearch.runtime.faults import policy
from evosearch.runtime.faults.policy import Policy
from evosearch.runtime.machine import consequences as rules
from evosearch.runtime.machine import fold as state
from evosearch.runtime.machine import step as machine
from evosearch.runtime.machine.fold import OpenTrial
from evosearch.search import Halving, SearchProgress, eavl
from evosearch.search.eavl import EavlStrategy
from evosearch.search.state import SearchState
from evosearch.storage import DriverStarted, Event, Finished, Reopened
from evosearch.testing.simulation import Doubles, Ledger, Scenario, complaints
from evosearch.testing.simulation.verdict import undisturbed

SEEDS = 2000

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], Doubles]


def a_commit_is_dropped(_: Patch) -> Doubles:
    class Forgetful(Ledger):
        commits = 0

        def append(self, name: str, term: int, facts: Sequence[Event], at: float) -> int:
            self.commits += 1
            end = self.end(name)[1] + len(facts)
            return end if self.commits % 50 == 0 else super().append(name, term, facts, at)

    return Doubles(journal=Forgetful)


def a_superseded_driver_still_writes(_: Patch) -> Doubles:
    class Open(Ledger):
        def _fence(self, name: str, term: int) -> None:
            pass

    return Doubles(journal=Open)


def turned(
    patch: Patch,
    before: Callable[[Any, SearchState], SearchState],
    after: Callable[[SearchState], SearchState],
) -> None:
    """Let EAVL's next generation come of `before(state)`, and be `after(...)`."""
    real = EavlStrategy._next_generation
    patch.setattr(
        EavlStrategy, "_next_generation", lambda self, state: after(real(self, before(self, state)))
    )


def an_early_immigrant_counts_in_best(patch: Patch) -> Doubles:
    def with_early(strategy: EavlStrategy, now: SearchState) -> SearchState:
        early = [one for one in strategy._immigrants(now.generation + 1) if one.number in now.scores]
        scored = [(one, now.scores[one.number].fitness) for one in early]
        best = now.best_with_members()
        contenders = [one for one in (best, *scored) if one and one[1] is not None]
        return replace(now, best=max(contenders, key=lambda pair: pair[1], default=None))

    def progress(strategy: EavlStrategy, now: SearchState) -> SearchProgress:
        return real(strategy, with_early(strategy, now))

    real = EavlStrategy.progress
    patch.setattr(EavlStrategy, "progress", progress)
    turned(patch, with_early, lambda now: now)
    return Doubles()


def an_elite_is_scored_again(patch: Patch) -> Doubles:
    def without(now: SearchState) -> SearchState:
        own = {one.number for one in now.members if one.generation == now.generation}
        return replace(now, scores={number: score for number, score in now.scores.items() if number in own})

    turned(patch, lambda _, now: now, without)
    return Doubles()


def the_order_of_arrival_decides(patch: Patch) -> Doubles:
    def by_arrival(_: Any, now: SearchState) -> SearchState:
        order = list(now.scores)
        return replace(now, members=tuple(sorted(now.members, key=lambda one: order.index(one.number))))

    turned(patch, by_arrival, lambda now: now)
    return Doubles()


def a_zombies_result_is_taken(patch: Patch) -> Doubles:
    real = machine.step

    def believed(fleet: Fleet, event: Any) -> Any:
        if not isinstance(event, TaskDone):
            return event
        search, trial = event.ticket.search, event.ticket.trial
        for name, task in fleet.running.items():
            if task == (search, trial) and name != event.worker.name and name in fleet.workers:
                ticket = replace(event.ticket, attempt=fleet.members[search].state.attempts[trial])
                return replace(event, worker=fleet.workers[name], ticket=ticket)
        return event

    patch.setattr(driver, "step", lambda fleet, *events: real(fleet, *(believed(fleet, e) for e in events)))
    return Doubles()


Fold = Callable[[Plan, DriverState, Event, DriverState], DriverState]


def folded(patch: Patch, otherwise: Fold) -> None:
    """Let a fact lead to `otherwise(plan, before, fact, after)`, in a live driver and in a replay."""
    real = state.evolve

    def evolve(plan: Plan, before: DriverState, fact: Event) -> DriverState:
        return otherwise(plan, before, fact, real(plan, before, fact))

    patch.setattr(state, "evolve", evolve)
    patch.setattr(machine, "evolve", evolve)


def recall_under_the_wrong_key(patch: Patch) -> Doubles:
    def by_head(_plan: Plan, before: DriverState, fact: Event, after: DriverState) -> DriverState:
        if isinstance(fact, Finished):
            head, key = head_of(before.open[fact.trial]), before.open[fact.trial].key
            alike = {one.key for one in after.open.values() if head_of(one) == head}
            remembered = {**dict.fromkeys(alike, after.remembered[key]), **after.remembered}
            return state.indexed(replace(after, remembered=remembered))
        return after

    def head_of(one: OpenTrial) -> object:
        return one.trial.candidate.chromosome.head

    folded(patch, by_head)
    return Doubles()


def a_reopened_candidate_is_finished_twice(patch: Patch) -> Doubles:
    def all_of_them(plan: Plan, before: DriverState, fact: Event, after: DriverState) -> DriverState:
        if not isinstance(fact, Reopened):
            return after
        search = plan.strategy.reopen(before.search, {TrialId(number) for number in before.progress.scores})
        again = {one.id: OpenTrial(one, plan.key(one), plan.size(one)) for one in plan.strategy.ask(search)}
        progress = plan.strategy.progress(search)
        return state.indexed(replace(after, search=search, progress=progress, open=again, remembered={}))

    folded(patch, all_of_them)
    return Doubles()


def a_dead_drivers_tasks_count_as_running(patch: Patch) -> Doubles:
    def kept(_plan: Plan, before: DriverState, fact: Event, after: DriverState) -> DriverState:
        return replace(after, running=before.running) if isinstance(fact, DriverStarted) else after

    folded(patch, kept)
    return Doubles()


def lost_workers_lead_to(patch: Patch, wrong: Policy) -> Doubles:
    """Let nothing but the policy of lost workers be another."""
    real = policy.policy_of
    for room in (policy, rules):
        patch.setattr(
            room, "policy_of", lambda kind: wrong if kind is FailureKind.WORKER_LOST else real(kind)
        )
    return Doubles()


def a_lost_worker_is_held_against_its_candidate(patch: Patch) -> Doubles:
    return lost_workers_lead_to(patch, Policy(2))


def no_loss_of_a_worker_stops_a_search(patch: Patch) -> Doubles:
    return lost_workers_lead_to(patch, Policy(10**9, stops=True))


def an_attempts_number_is_used_twice(patch: Patch) -> Doubles:
    def anew(_plan: Plan, _: DriverState, fact: Event, after: DriverState) -> DriverState:
        return replace(after, attempts={}) if isinstance(fact, DriverStarted) else after

    folded(patch, anew)
    return Doubles()


def a_checkpoint_of_another_training_is_continued(patch: Patch) -> Doubles:
    patch.setattr(settings, "_key", lambda task: f"seed-{task.seed % 3}")
    return Doubles()


def a_rung_is_decided_before_all_have_come_to_it(patch: Patch) -> Doubles:
    def hasty(now: SearchState, halving: Halving) -> SearchState:
        own = [one for one in now.members if one.generation == now.generation]
        there = tuple(one for one in own if one.number in now.scores)
        if now.rung or len(there) < len(own) / 2:
            return real(now, halving)
        decided = real(replace(now, members=there), halving)
        return replace(decided, members=now.members)

    real = eavl.with_rung_decided
    patch.setattr(eavl, "with_rung_decided", hasty)
    return Doubles()


def what_was_dropped_at_a_rung_lives_on(patch: Patch) -> Doubles:
    patch.setattr(EavlStrategy, "_eligible", lambda _, now: now.members)
    return Doubles()


class Untold:
    """A pool as the first version's: a worker that went with its node is lost like any other."""

    def __init__(self, inner: WorkerPool) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def poll(self, timeout: float) -> Sequence[PoolEvent]:
        return [
            replace(event, node_lost=False) if isinstance(event, WorkerLeft) else event
            for event in self._inner.poll(timeout)
        ]


def losses_of_nodes_stop_a_search(_: Patch) -> Doubles:
    return Doubles(pool=Untold)


def what_reported_a_shared_error_runs_beside_others(patch: Patch) -> Doubles:
    patch.setattr(machine, "claims", lambda _fleet, _events: {})
    return Doubles()


def shared_losses_stop_a_search(patch: Patch) -> Doubles:
    return lost_workers_lead_to(patch, replace(policy.policy_of(FailureKind.WORKER_LOST), alone_after=None))


FAULTS: Mapping[str, tuple[Plant, str]] = {
    plant.__name__: (plant, complaint)
    for plant, complaint in (
        (a_commit_is_dropped, "told of facts that are not in its journal"),
        (a_superseded_driver_still_writes, "although a newer one had begun"),
        (an_early_immigrant_counts_in_best, "is better, with|undisturbed"),
        (an_elite_is_scored_again, "was born before|would breed another generation"),
        (the_order_of_arrival_decides, "undisturbed"),
        (a_zombies_result_is_taken, "and has Ticket|undisturbed"),
        (recall_under_the_wrong_key, "recalls what another training came to"),
        (
            a_reopened_candidate_is_finished_twice,
            # or, where it was the best, that another one is told as best while it is open
            "trains anew|has its score already|was born before|is better, with",
        ),
        (a_dead_drivers_tasks_count_as_running, "waits for something that never comes"),
        (a_lost_worker_is_held_against_its_candidate, "undisturbed"),
        (no_loss_of_a_worker_stops_a_search, "goes on and on"),
        (an_attempts_number_is_used_twice, "follows attempt"),
        (a_checkpoint_of_another_training_is_continued, "undisturbed"),
        (
            a_rung_is_decided_before_all_have_come_to_it,
            "have not come to epoch|undisturbed|would breed another generation",
        ),
        (what_was_dropped_at_a_rung_lives_on, "that were not trained to their end"),
        (losses_of_nodes_stop_a_search, "lost its worker 5 times"),
        (what_reported_a_shared_error_runs_beside_others, "is to run alone"),
        (shared_losses_stop_a_search, "lost its worker 5 times"),
    )
}


def first_found(plant: Plant) -> tuple[int, str]:
    """The first seed that the fault is found with, and what is said of it."""
    for seed in range(SEEDS):
        undisturbed(Scenario.of(seed))  # of the real thing, before anything is planted
        with pytest.MonkeyPatch.context() as patch:
            if found := complaints(seed, plant(patch)):
                return seed, found[0]
    raise AssertionError(f"not found in {SEEDS} seeds")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    plant, complaint = FAULTS[fault]
    _, found = first_found(plant)
    assert re.search(complaint, found)
