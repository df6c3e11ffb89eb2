"""The driver as a whole: the loop, the machine and a scripted pool."""

import itertools
from dataclasses import dataclass, replace

import pytest

from evosearch.errors import CannotRunError, InterruptedSearchError, TooManyFailuresError
from evosearch.evaluation import FailureKind, Trial
from evosearch.genome import SearchSpace
from evosearch.runtime import Fleet, Member, Silence, Surroundings, WorkerJoined, drive, replay
from evosearch.search import EavlSettings
from evosearch.storage import (
    Born,
    Completed,
    Dispatched,
    Failed,
    Finished,
    GenerationStarted,
    Interrupted,
    Recalled,
    Reopened,
    Stopped,
    VerdictReached,
)
from evosearch.testing import (
    FailingEvaluator,
    FormulaEvaluator,
    RaisingEvaluator,
    Script,
    ScriptedPool,
    Victims,
)
from tests.runtime.small_search import Drive, MemoryLogbook, make_plan, with_max_memory


def population_of(state):
    """What must be equal, bit for bit: members, their fitness, and the best."""
    members = [
        (m.number, str(m.chromosome), m.parents, state.search.scores[m.number]) for m in state.search.members
    ]
    return members, state.search.best_with_members()


def test_a_search_evaluates_every_candidate_once_and_ends(plan):
    drive = Drive(plan)
    state = drive()
    assert len(drive.logbook.of(Born)) == plan.strategy.evaluations == 8 + 3 * 6
    finished = [f.number for f in drive.logbook.of(Finished)] + [f.number for f in drive.logbook.of(Recalled)]
    assert sorted(finished) == list(range(26))
    best = max(drive.logbook.of(Finished), key=lambda fact: (fact.success.fitness, -fact.number))
    assert drive.logbook.facts[-1] == Completed(best.number)
    assert [g.generation for g in drive.logbook.of(GenerationStarted)] == [0, 1, 2, 3]
    assert state.halted


def test_a_generation_is_written_in_one_transaction_before_any_of_it_is_dispatched(plan):
    drive = Drive(plan)
    drive()
    for transaction in drive.logbook.transactions:
        for started in (fact for fact in transaction if isinstance(fact, GenerationStarted)):
            born = [fact.candidate.number for fact in transaction if isinstance(fact, Born)]
            assert set(born) == {n for n in started.members if n >= min(born)}
    seen = set()
    for fact in drive.logbook.facts:
        if isinstance(fact, Born):
            seen.add(fact.candidate.number)
        if isinstance(fact, Dispatched):
            assert fact.number in seen


@pytest.mark.parametrize("workers", [1, 2, 5, 16])
@pytest.mark.parametrize("shuffle", [1, 2, 3])
def test_neither_the_number_of_workers_nor_the_order_of_results_changes_the_search(plan, workers, shuffle):
    assert population_of(Drive(plan, script=Script(workers, shuffle=shuffle))()) == population_of(
        Drive(plan)()
    )


def test_a_driver_killed_after_any_transaction_goes_on_to_the_same_end(plan):
    undisturbed = Drive(plan, script=Script(3, shuffle=0))
    expected = population_of(undisturbed())
    assert len(undisturbed.logbook.transactions) > 26
    for kept in range(len(undisturbed.logbook.transactions)):
        before = list(itertools.chain(*undisturbed.logbook.transactions[:kept]))
        resumed = Drive(plan, script=Script(2, shuffle=kept))
        assert population_of(resumed(before)) == expected
        ended = [fact.number for fact in resumed.logbook.facts if isinstance(fact, Finished | Recalled)]
        assert len(ended) == len(set(ended)) == 26


def test_an_extended_search_equals_one_configured_so_from_the_start():
    short = Drive(make_plan(EavlSettings(population=6, generations=2, elites=2, immigrants=1)))
    short()
    long = make_plan(EavlSettings(population=6, generations=4, elites=2, immigrants=1))
    assert population_of(Drive(long)(short.logbook.facts)) == population_of(Drive(long)())


# A generation of which all were trained early: immigrants alone, more workers than members, one member that ends last.

ALONE = EavlSettings(population=4, generations=4, elites=2, immigrants=2)
LATE = Script(6, losses={(number, 1): FailureKind.WORKER_LOST for number in range(4)})


def test_a_generation_of_which_all_were_trained_early_starts_like_any_other():
    drive = Drive(make_plan(ALONE), script=LATE)
    assert population_of(drive()) == population_of(Drive(make_plan(ALONE))())
    facts = drive.logbook.facts
    ends = [fact.number for fact in facts if isinstance(fact, Finished | Recalled)]
    assert set(ends[:2]) == {4, 5}, "the immigrants of generation 1"
    assert [fact.generation for fact in drive.logbook.of(GenerationStarted)] == [0, 1, 2, 3]


def test_a_generation_of_which_all_are_recalled_at_once_starts_like_any_other():
    one = SearchSpace(
        convolutions=(1, 1), channels=(4, 4), batch_norm=0, poolings=(0, 0), dense=(1, 1), units=(4, 4)
    )
    drive = Drive(make_plan(ALONE, one), script=Script(6))
    drive()
    assert [fact.generation for fact in drive.logbook.of(GenerationStarted)] == [0, 1, 2, 3]


def test_a_search_whose_last_generation_was_trained_early_can_be_extended():
    short = Drive(make_plan(replace(ALONE, generations=2)), script=LATE)
    short()
    long = make_plan(replace(ALONE, generations=4))
    assert population_of(Drive(long)(short.logbook.facts)) == population_of(Drive(long)())


@pytest.mark.parametrize("later", [1, 5, 99])
def test_a_generation_that_the_first_version_passed_over_is_passed_over_in_its_journals_still(later):
    """They are cut so many events after they did."""
    drive = Drive(make_plan(ALONE), script=LATE)
    drive()
    _, first, second, _ = drive.logbook.of(GenerationStarted)
    old = [fact for fact in drive.logbook.facts if not isinstance(fact, VerdictReached) and fact != first]
    old = old[: old.index(second) + later]
    for plan in (make_plan(ALONE), make_plan(replace(ALONE, generations=5))):
        resumed = Drive(plan)
        assert population_of(resumed(old)) == population_of(Drive(plan)())
        assert first not in resumed.logbook.facts


def test_of_equal_chromosomes_the_lowest_number_trains_and_the_others_are_recalled():
    one = SearchSpace(
        convolutions=(1, 1), channels=(4, 4), batch_norm=0, poolings=(0, 0), dense=(1, 1), units=(4, 4)
    )
    drive = Drive(
        make_plan(EavlSettings(population=4, generations=1, elites=1, immigrants=1), one), script=Script(4)
    )
    drive()
    assert [fact.number for fact in drive.logbook.of(Dispatched)] == [0]
    assert drive.logbook.of(Recalled) == [Recalled(1, 0), Recalled(2, 0), Recalled(3, 0)]


def test_where_the_lowest_of_equals_fails_the_next_one_trains():
    one = SearchSpace(
        convolutions=(1, 1), channels=(4, 4), batch_norm=0, poolings=(0, 0), dense=(1, 1), units=(4, 4)
    )
    plan = make_plan(EavlSettings(population=3, generations=1, elites=1, immigrants=1), one)
    drive = Drive(plan, FailingEvaluator(Victims(every=1)), Script(3))
    drive()
    assert [fact.number for fact in drive.logbook.of(Dispatched)] == [0, 1, 2]
    assert drive.logbook.facts[-1] == Completed(None)


def test_the_longest_training_goes_first(plan):
    drive = Drive(plan)
    drive()
    first = [fact.number for fact in drive.logbook.of(Dispatched)][:8]
    flops = {fact.candidate.number: fact.flops for fact in drive.logbook.of(Born)}
    assert [flops[number] for number in first] == sorted((flops[number] for number in first), reverse=True)


def test_a_lost_worker_is_never_held_against_the_chromosome(plan):
    losses = {(3, attempt): FailureKind.WORKER_LOST for attempt in (1, 2, 3, 4)}
    drive = Drive(plan, script=Script(2, losses=losses))
    assert population_of(drive()) == population_of(Drive(plan)())
    assert [fact.final for fact in drive.logbook.of(Failed)] == [False] * 4
    workers = [fact.worker for fact in drive.logbook.of(Dispatched) if fact.number == 3]
    assert len(set(workers)) == 5


def test_five_losses_of_one_evaluation_stop_the_search_and_a_resume_opens_it_anew(plan):
    losses = {(3, attempt): FailureKind.WORKER_LOST for attempt in range(1, 6)}
    drive = Drive(plan, script=Script(2, losses=losses))
    with pytest.raises(
        TooManyFailuresError, match=r"candidate 3 lost its worker 5 times.*evosearch resume small"
    ):
        drive()
    assert isinstance(drive.logbook.facts[-1], Stopped)
    assert not any(fact.final for fact in drive.logbook.of(Failed))
    resumed = Drive(plan)
    assert population_of(resumed(drive.logbook.facts)) == population_of(Drive(plan)())
    assert resumed.logbook.of(Reopened) == [Reopened((3,))]
    attempts = [fact.attempt for fact in resumed.logbook.of(Dispatched) if fact.number == 3]
    assert attempts == [1, 2, 3, 4, 5, 6]


def test_a_candidate_that_loses_its_node_a_dozen_times_never_stops_the_search(plan):
    """Beside four losses on nodes that lived on: only these count."""
    outages = frozenset((3, attempt) for attempt in range(1, 13))
    losses = {(3, attempt): FailureKind.WORKER_LOST for attempt in range(13, 17)}
    drive = Drive(plan, script=Script(2, outages=outages, losses=losses, nodes=2))
    assert population_of(drive()) == population_of(Drive(plan)())
    failed = [fact for fact in drive.logbook.of(Failed) if fact.number == 3]
    assert [fact.failure.node_lost for fact in failed] == [True] * 12 + [False] * 4
    assert not any(fact.final for fact in failed)


def test_losses_on_nodes_that_lived_on_stop_the_search_however_many_nodes_were_lost_between_them(plan):
    outages = frozenset((3, attempt) for attempt in range(1, 10, 2))
    losses = {(3, attempt): FailureKind.WORKER_LOST for attempt in range(2, 11, 2)}
    drive = Drive(plan, script=Script(2, outages=outages, losses=losses))
    with pytest.raises(TooManyFailuresError, match="candidate 3 lost its worker 5 times"):
        drive()


def test_a_process_that_crashes_three_times_leaves_the_worst_fitness(plan):
    losses = {(3, attempt): FailureKind.CRASHED for attempt in (1, 2, 3)}
    drive = Drive(plan, script=Script(3, losses=losses))
    state = drive()
    assert [fact.final for fact in drive.logbook.of(Failed)] == [False, False, True]
    assert [fact.number for fact in drive.logbook.of(Dispatched)].count(3) == 3
    assert 3 not in [member.number for member in state.search.members]


def test_an_error_is_tried_once_more_then_keeps_the_worst_fitness(plan):
    victim = str(plan.strategy.start().members[5].chromosome)
    drive = Drive(plan, RaisingEvaluator(Victims(frozenset({victim}))))
    drive()
    failed = drive.logbook.of(Failed)
    assert [(fact.number, fact.attempt, fact.final) for fact in failed] == [(5, 1, False), (5, 2, True)]
    assert failed[0].failure.message == "ValueError: raised on purpose"


def test_when_the_first_three_evaluations_all_end_as_error_the_search_stops(plan):
    drive = Drive(plan, RaisingEvaluator(Victims(every=1)))
    with pytest.raises(
        TooManyFailuresError, match=r"first 3 evaluations all ended as error; the last one: ValueError"
    ):
        drive()
    assert len(drive.logbook.of(Failed)) == 6
    resumed = Drive(plan)
    assert population_of(resumed(drive.logbook.facts)) == population_of(Drive(plan)())
    reopened = resumed.logbook.of(Reopened)[0].numbers
    assert len(reopened) == 3
    for number in reopened:  # no attempt is numbered twice, so that each has its reason in the results
        assert [f.attempt for f in resumed.logbook.of(Dispatched) if f.number == number] == [1, 2, 3]


def test_a_resume_after_lost_workers_remembers_that_evaluations_have_succeeded():
    """Three errors in a later generation are the candidates' own, also after a stop for another reason."""
    plan = make_plan(EavlSettings(population=12, generations=2, elites=2, immigrants=2))
    undisturbed = Drive(plan)
    undisturbed()
    later = [f.candidate for f in undisturbed.logbook.of(Born) if f.candidate.generation == 1]
    longest = max(
        later, key=lambda candidate: (plan.network_size(Trial.of(candidate)).flops, -candidate.number)
    )
    losses = {(longest.number, attempt): FailureKind.WORKER_LOST for attempt in range(1, 6)}
    stopped = Drive(plan, script=Script(losses=losses))
    with pytest.raises(TooManyFailuresError, match="lost its worker 5 times"):
        stopped()
    broken = frozenset(str(candidate.chromosome) for candidate in later[-3:])
    resumed = Drive(plan, RaisingEvaluator(Victims(broken)))
    resumed(stopped.logbook.facts)
    assert isinstance(resumed.logbook.facts[-1], Completed)
    assert sum(fact.final for fact in resumed.logbook.of(Failed)) >= 3


def shortest(plan, count):
    """The members of the first generation that are trained last."""
    members = sorted(
        plan.strategy.start().members, key=lambda member: plan.network_size(Trial.of(member)).flops
    )
    return frozenset(str(member.chromosome) for member in members[:count])


@pytest.mark.parametrize(("population", "failing"), [(10, 3), (8, 2), (4, 2)])
def test_errors_in_up_to_a_third_of_a_generation_do_not_stop_the_search(population, failing):
    plan = make_plan(EavlSettings(population=population, generations=1, elites=2, immigrants=1))
    drive = Drive(plan, RaisingEvaluator(Victims(shortest(plan, failing))))
    drive()
    assert isinstance(drive.logbook.facts[-1], Completed)
    assert sum(fact.final for fact in drive.logbook.of(Failed)) == failing


@pytest.mark.parametrize(("population", "failing"), [(10, 4), (8, 3), (4, 3)])
def test_more_errors_than_that_stop_the_search_and_a_resume_opens_them_anew(population, failing):
    plan = make_plan(EavlSettings(population=population, generations=2, elites=2, immigrants=1))
    drive = Drive(plan, RaisingEvaluator(Victims(shortest(plan, failing))))
    with pytest.raises(
        TooManyFailuresError, match=rf"{failing} of generation 0's {population} failed as error"
    ):
        drive()
    resumed = Drive(plan)
    assert population_of(resumed(drive.logbook.facts)) == population_of(Drive(plan)())
    assert len(resumed.logbook.of(Reopened)[0].numbers) == failing


def test_crashes_count_like_errors(plan):
    losses = {(number, attempt): FailureKind.CRASHED for number in (1, 2, 3) for attempt in (1, 2, 3)}
    drive = Drive(plan, script=Script(2, losses=losses))
    with pytest.raises(TooManyFailuresError, match="3 of generation 0's 8 failed as error or crashed"):
        drive()


@pytest.mark.parametrize("kind", [FailureKind.OUT_OF_MEMORY, FailureKind.TIMED_OUT, FailureKind.DIVERGED])
def test_what_a_candidate_has_to_answer_for_never_stops_a_search(plan, kind):
    drive = Drive(plan, FailingEvaluator(Victims(every=1), kind=kind))
    drive()
    assert drive.logbook.facts[-1] == Completed(None)


def test_a_diverged_training_is_final_at_once_and_never_wins(plan):
    drive = Drive(plan, FailingEvaluator(Victims(every=3), kind=FailureKind.DIVERGED))
    state = drive()
    failed = {fact.number for fact in drive.logbook.of(Failed) if fact.final}
    assert failed
    assert len(drive.logbook.of(Failed)) == len(failed)
    parents = {n for fact in drive.logbook.of(Born) for n in fact.candidate.parents}
    assert not parents & failed
    assert state.search.best_with_members()[0].number not in failed


def test_a_stop_is_journaled_last_and_the_next_driver_trains_what_was_in_flight_again(plan):
    polls = itertools.count()
    drive = Drive(plan, script=Script(2), stop_reason=lambda: "SIGTERM" if next(polls) > 9 else None)
    with pytest.raises(InterruptedSearchError, match=r"stopped by SIGTERM; `evosearch resume small`"):
        drive()
    assert drive.logbook.facts[-1] == Interrupted("SIGTERM")
    running = {f.number for f in drive.logbook.of(Dispatched)} - {
        f.number for f in drive.logbook.of(Finished)
    }
    assert running
    resumed = Drive(plan)
    assert population_of(resumed(drive.logbook.facts)) == population_of(Drive(plan)())
    again = {fact.number for fact in resumed.logbook.of(Dispatched) if fact.attempt == 2}
    assert again == running


@dataclass
class Odd:
    """A scripted pool with another memory, whose polls take as long as they like."""

    inner: ScriptedPool
    memory: int | None = None
    seconds: float = 0.0
    now: float = 0.0

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def poll(self, timeout):
        self.now += self.seconds
        events = self.inner.poll(timeout)
        return [
            replace(event, worker=replace(event.worker, memory=self.memory))
            if isinstance(event, WorkerJoined)
            else event
            for event in events
        ]


def drive_on(pool, plan):
    logbook = MemoryLogbook()
    pool.start()
    world = Surroundings(pool, {plan.name: logbook}, lambda: pool.now, lambda: None, Silence())
    drive(Fleet.of(Member(plan, replay(plan, ()))), world)
    return logbook


def test_a_limit_that_no_device_holds_is_found_before_anything_is_dispatched(plan):
    gib = 2**30
    plan = with_max_memory(plan, 4 * gib)
    pool = Odd(ScriptedPool(FormulaEvaluator(), Script(2)), memory=2 * gib)
    with pytest.raises(CannotRunError, match=r"has 2\.0 GiB"):
        drive_on(pool, plan)
    assert pool.submitted == []


def test_a_driver_that_stood_still_blames_no_worker(plan):
    """Each poll takes longer than a worker may go without progress; one of the two ends with each."""
    pool = Odd(ScriptedPool(FormulaEvaluator(), Script(2)), seconds=1000.0)
    assert drive_on(pool, plan).of(Failed) == []


def test_the_heartbeat_comes_every_five_seconds_of_the_clock(plan):
    turns = []
    logbook = MemoryLogbook()
    # asked once a turn of the loop, so a turn takes half a second of this clock
    drive = Drive(plan, logbook=logbook, stop_reason=lambda: turns.append(0), clock=lambda: len(turns) / 2)
    drive()
    assert logbook.beats == len(turns) // 10
