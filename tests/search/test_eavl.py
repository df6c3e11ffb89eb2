"""The evolution as a whole, from the EAVL-COVID paper, with early immigrants."""

import hashlib
from collections.abc import Callable

import pytest

from evosearch.blueprint import ImageShape, Problem
from evosearch.errors import InfeasibleSpaceError
from evosearch.evaluation import Failure, FailureKind, Success, TrainingSettings, Trial, TrialId
from evosearch.genome import SearchSpace
from evosearch.search import (
    EavlSettings,
    EavlStrategy,
    Origin,
    Score,
    SearchContext,
    SearchState,
    elites,
    ranking,
    score_of,
)
from evosearch.testing.strategy_contract import GenerationalContract, asked_in, judged, outcomes_of, rounds

SPACE = SearchSpace(convolutions=(1, 4), channels=(2, 9), poolings=(0, 4), dense=(0, 2), units=(2, 40))
PAPERS = {"population": 50, "generations": 20, "elites": 10, "immigrants": 10}
FAILED = Failure(FailureKind.DIVERGED, "")


def evolution(space: SearchSpace = SPACE, seed: int = 7, **settings) -> EavlStrategy:
    """Population 10 = 3 elites + 5 children + 2 immigrants, 3 generations, unless `settings` say otherwise."""
    settings = {"population": 10, "generations": 3, "elites": 3, "immigrants": 2} | settings
    context = SearchContext(space, Problem(ImageShape(1, 8, 8), 2), TrainingSettings(), seed)
    return EavlStrategy(EavlSettings(**settings), context)


def by_number(trial: Trial) -> Success:
    """A fitness that falls with the number: newcomers are always worse."""
    return Success(1 / (1 + trial.number), 1.0)


def next_generation(
    strategy: EavlStrategy, state: SearchState, judge: Callable[[Trial], Success | Failure] = judged
) -> SearchState:
    return strategy.tell(state, outcomes_of(strategy.ask(state), judge))


class TestEavlKeepsTheContract(GenerationalContract):
    def make_strategy(self, generations: int) -> EavlStrategy:
        return evolution(generations=generations)


class TestEavlWithoutElitesKeepsTheContract(GenerationalContract):
    def make_strategy(self, generations: int) -> EavlStrategy:
        return evolution(generations=generations, elites=0, population=5, immigrants=1)


class TestEavlWithoutChildrenKeepsTheContract(GenerationalContract):
    """Elites and immigrants alone: a generation whose immigrants were told early is complete at its birth."""

    def make_strategy(self, generations: int) -> EavlStrategy:
        return evolution(generations=generations, elites=2, population=4, immigrants=2)


def test_the_papers_search_evaluates_810():
    """EAVL-COVID: 50 + 19 x 40."""
    strategy = evolution(population=50, generations=20, elites=10, immigrants=10)
    assert strategy.evaluations == 810
    assert sum(len(asked) for _, asked in rounds(strategy)) == 810


def test_generation_0_is_random_and_numbered_by_slot():
    members = evolution().start().members
    assert [member.number for member in members] == list(range(10))
    assert {(m.generation, m.origin, m.parents) for m in members} == {(0, Origin.INITIAL, ())}
    assert len({member.chromosome.key for member in members}) > 5


def test_a_generation_is_elites_then_children_then_immigrants():
    strategy = evolution()
    state = next_generation(strategy, strategy.start())
    assert state.generation == 1
    origins = [member.origin for member in state.members]
    assert origins == [Origin.INITIAL] * 3 + [Origin.CROSSOVER] * 5 + [Origin.IMMIGRANT] * 2
    assert [len(member.parents) for member in state.members] == [0] * 3 + [2] * 5 + [0] * 2
    assert {member.generation for member in state.members[3:]} == {1}


def test_numbers_follow_from_generation_and_slot_children_before_immigrants():
    """population + (g - 1) x (population - elites) + slot: 10..16 in generation 1, 17..23 in generation 2."""
    strategy = evolution()
    first = next_generation(strategy, strategy.start())
    second = next_generation(strategy, first)
    assert [member.number for member in first.members[3:]] == [10, 11, 12, 13, 14, 15, 16]
    assert [member.number for member in second.members[3:]] == [17, 18, 19, 20, 21, 22, 23]
    assert [member.origin for member in second.members if member.number >= 22] == [Origin.IMMIGRANT] * 2


def test_elites_keep_number_row_and_fitness_and_are_not_trained_again():
    strategy = evolution()
    start = strategy.start()
    outcomes = outcomes_of(strategy.ask(start))
    scores = {trial.number: score_of(outcome) for trial, outcome in outcomes.items()}
    state = strategy.tell(start, outcomes)
    kept = state.members[:3]
    assert kept == elites(start.members, scores, 3)
    assert state.scores == {member.number: scores[member.number] for member in kept}
    assert not set(kept) & {trial.candidate for trial in strategy.ask(state, early=True)}


def test_an_elite_may_live_on_through_all_generations():
    history = rounds(evolution(), by_number)
    assert all(member in history[-1][0].members for member in history[0][0].members[:1])
    assert history[-1][0].best_with_members() == (history[0][0].members[0], 1.0)


def test_failed_members_are_no_elites_while_successes_suffice():
    strategy = evolution()
    start = strategy.start()
    numbers = (member.number for member in start.members)
    outcomes = {TrialId(n): Success(0.5, 1.0) if n in (2, 5, 8) else FAILED for n in numbers}
    state = strategy.tell(start, outcomes)
    assert {member.number for member in state.members[:3]} == {2, 5, 8}
    assert {parent for member in state.members for parent in member.parents} <= {2, 5, 8}


def test_with_an_odd_number_of_children_the_last_pairs_second_child_is_dropped():
    """Five children of three pairs; a search with one immigrant fewer keeps the sixth."""
    five, six = evolution(immigrants=2), evolution(immigrants=1)
    children = [
        [m for m in next_generation(strategy, strategy.start()).members if m.origin is Origin.CROSSOVER]
        for strategy in (five, six)
    ]
    assert (len(children[0]), len(children[1])) == (5, 6)
    assert children[0] == children[1][:5]


def test_the_global_best_lives_in_the_state_even_without_elites():
    """Balance's reference is the best over the finished generations, a member no more where no elites are kept."""
    strategy = evolution(elites=0, population=6)
    states = [state for state, _ in rounds(strategy, by_number)]
    assert states[0].best is None
    assert [state.best for state in states[1:]] == [(states[0].members[0], 1.0)] * 3
    assert states[0].members[0] not in states[1].members


def test_a_running_generation_has_no_part_in_the_states_best():
    strategy = evolution()
    state = next_generation(strategy, strategy.start(), by_number)
    partly = strategy.tell(state, {TrialId(n): Success(1.0, 1.0) for n in (10, 16)})
    assert partly.best == state.best == (strategy.start().members[0], 1.0)


def test_immigrants_asked_for_early_are_those_born_later():
    strategy = evolution()
    start = strategy.start()
    early = strategy.ask(start, early=True)[10:]
    assert [(trial.number, trial.candidate.origin) for trial in early] == [
        (15, Origin.IMMIGRANT),
        (16, Origin.IMMIGRANT),
    ]
    assert tuple(trial.candidate for trial in early) == next_generation(strategy, start).members[8:]


def test_scores_told_early_are_kept():
    strategy = evolution()
    start = strategy.tell(strategy.start(), {TrialId(15): Success(0.25, 1.0), TrialId(16): FAILED})
    state = next_generation(strategy, start)
    assert (state.scores[15], state.scores[16]) == (Score(fitness=0.25), score_of(FAILED))
    assert [trial.number for trial in strategy.ask(state)] == [10, 11, 12, 13, 14]


@pytest.mark.parametrize("early", [Success(1.0, 1.0), Success(0.0, 1.0), FAILED])
def test_an_early_result_changes_nothing_in_what_the_next_generation_is_made_of(early):
    """Best, elites, parents and children know nothing of it; were it counted, 1.0 would win and 0.0 be lowest."""
    strategy = evolution()
    undisturbed = next_generation(strategy, strategy.start())
    state = next_generation(
        strategy, strategy.tell(strategy.start(), {TrialId(15): early, TrialId(16): early})
    )
    assert state.members == undisturbed.members
    assert state.best == undisturbed.best


def test_nothing_is_trained_beyond_the_last_generation():
    strategy = evolution(generations=2)
    state = next_generation(strategy, strategy.start())
    assert strategy.ask(state, early=True) == strategy.ask(state)
    assert evolution(generations=1).ask(evolution(generations=1).start(), early=True)[10:] == ()


def test_one_generation_is_the_initial_population_alone():
    strategy = evolution(generations=1)
    state = next_generation(strategy, strategy.start())
    assert strategy.evaluations == 10
    assert strategy.finished(state) and state.generation == 0
    assert state.best_with_members() == (
        ranking(state.members, state.scores)[0],
        state.scores[ranking(state.members, state.scores)[0].number].fitness,
    )


def test_a_generation_in_which_all_failed_goes_on_with_the_lowest_numbers_as_elites():
    strategy = evolution()
    state = next_generation(strategy, strategy.start(), lambda _: FAILED)
    assert [member.number for member in state.members[:3]] == [0, 1, 2]
    assert state.best is None
    assert [trial.number for trial in strategy.ask(state)] == list(range(10, 17))


def test_a_generation_without_children_whose_immigrants_were_told_early_gives_way_when_told_nothing():
    """It starts all the same, so that it can be journaled."""
    strategy = evolution(elites=2, population=4, immigrants=2)
    state = strategy.tell(strategy.start(), {TrialId(n): Success(0.5, 1.0) for n in (4, 5)})
    state = next_generation(strategy, state)
    assert (state.generation, state.complete, strategy.ask(state)) == (1, True, ())
    assert [trial.number for trial in strategy.ask(strategy.tell(state, {}))] == [6, 7]


def test_children_know_their_parents_and_what_was_done():
    strategy = evolution(population=20, elites=2, immigrants=2, crossover_probability=0.5)
    start = strategy.start()
    children = [m for m in next_generation(strategy, start).members if m.origin is Origin.CROSSOVER]
    assert all(set(child.parents) <= {member.number for member in start.members} for child in children)
    assert {child.words[0].split()[0] for child in children} == {"copied", "crossed"}


def test_every_member_of_every_generation_can_be_decoded():
    """8 px allow three poolings, though the space draws up to four and crossover adds more."""
    for seed in range(5):
        for state, _ in rounds(evolution(seed=seed, generations=6, population=14)):
            for member in state.members:
                assert member.chromosome.poolings <= 3
                assert member.chromosome.convolutions


def test_heads_leave_the_initial_range():
    """EAVL-COVID: "dynamic search space"; no random head of this space is longer than 8 genes."""
    lengths = {
        len(member.chromosome.head)
        for seed in range(10)
        for state, _ in rounds(evolution(seed=seed, generations=6))
        for member in state.members
    }
    assert max(lengths) > 8


def test_a_space_without_room_stops_the_search_at_its_start():
    with pytest.raises(InfeasibleSpaceError, match=r"space\.max_parameters"):
        evolution(SearchSpace(max_parameters=10)).start()


def test_other_seeds_make_other_searches():
    ends = {str(rounds(evolution(seed=seed))[-1][0].members) for seed in range(5)}
    assert len(ends) == 5


GOLDEN = """
0  0 536d0cc7482183f59e19 P B9 P C5 B8 B7 P | F11 F20
0  1 220aff78a53494a8b902 B2 C8 B4 B6 P | F15
0  2 ee6abd02cade2f49ca0b P P B8 P C2 B6 B3 |
0  3 ac44ece0bf876908e019 B9 C2 P P |
0  4 f0b8783450a6728f0df8 P P P C8 C7 B2 B8 | F26
0  5 e70b13aa330a03347bc0 P P B9 B3 B7 | F27
0  6 1a7a20a7ebe8ac32ce3a P B4 P B4 B7 |
0  7 9cb73fb4d9166d0157f0 C2 P P P | F7 F4
1  3 ac44ece0bf876908e019 B9 C2 P P |
1  6 1a7a20a7ebe8ac32ce3a P B4 P B4 B7 |
1  8 1a7a20a7ebe8ac32ce3a P B4 P B4 B7 |
1  9 6902088a69d296e42e7a P P B2 B8 | F26
1 10 220aff78a53494a8b902 B2 C8 B4 B6 P | F15
1 11 1a7a20a7ebe8ac32ce3a P B4 P B4 B7 |
1 12 262272ca63ff3336d3a7 P C7 B2 B8 | F26
1 13 cc2bf76925976047ec45 P P P B8 C7 B2 |
2  3 ac44ece0bf876908e019 B9 C2 P P |
2  6 1a7a20a7ebe8ac32ce3a P B4 P B4 B7 |
2 14 1e27e29caeb8d26cf27d B9 P B4 B7 |
2 15 71632291b23c57ec7a7d P B4 C2 P P |
2 16 ac44ece0bf876908e019 B9 C2 P P |
2 17 6902088a69d296e42e7a P P B2 B8 | F26
2 18 fdcf048c3075245001ad P B4 B7 |
2 19 1293d4e07897f25a1321 B7 C7 C5 | F30 F12
3  3 ac44ece0bf876908e019 B9 C2 P P |
3 14 1e27e29caeb8d26cf27d B9 P B4 B7 |
3 20 1e27e29caeb8d26cf27d B9 P B4 B7 |
3 21 ac44ece0bf876908e019 B9 C2 P P |
3 22 8ef3507b9be71dabad8b P C2 P P B8 | F26
3 23 4b769af120ff4b3b0cd3 P P B2 P B2 B8 | F26
3 24 9fbbf0b563ad7aed2e28 B9 P B4 P B2 B8 | F26
3 25 6488b2f6f5d0aea26b95 B3 P P C5 P | F10 F39
"""
"""Generation, number, content key and chromosome of every member."""


def test_a_fixed_search_has_the_populations_it_always_had():
    """It breaks when a stream, a purpose's number, an order of draws, a number or the text form changes. Then a
    resumed search of an older journal would breed other children than its undisturbed run: such a change needs
    a new version of the journal, not new lines here. (A new numpy may change what its generators draw: the same
    consequence.) The search copies, crosses, shrinks, grows and drops poolings."""
    strategy = evolution(
        population=8, generations=4, elites=2, immigrants=1, crossover_probability=0.8, phi=3
    )
    history = rounds(strategy, lambda trial: Success(trial.number * 7 % 11 / 11, 1.0))[:-1]
    members = [(state.generation, member) for state, _ in history for member in state.members]
    lines = [f"{g} {m.number:2} {m.chromosome.key} {m.chromosome}" for g, m in members]
    assert lines == GOLDEN.strip().splitlines()
    words = {words.split()[0] for _, member in members for words in member.words}
    assert words == {"copied", "crossed", "shrink", "grow", "dropped"}


class TestEavlWithoutImmigrantsKeepsTheContract(GenerationalContract):
    def make_strategy(self, generations: int) -> EavlStrategy:
        return evolution(generations=generations, immigrants=0)


class TestEavlWithoutBalanceKeepsTheContract(GenerationalContract):
    def make_strategy(self, generations: int) -> EavlStrategy:
        return evolution(generations=generations, balance=False)


def births(strategy: EavlStrategy) -> list[tuple[str, ...]]:
    """All that is told of each candidate, in words."""
    candidates = [trial.candidate for trial in asked_in(rounds(strategy))]
    return [(str(one.chromosome), one.origin, str(one.parents), *one.words) for one in candidates]


def test_an_evolution_is_what_it_was_before_balance_and_operators_could_be_chosen():
    found = births(evolution(population=20, generations=6, elites=3, immigrants=4))
    assert len(found) == 20 + 5 * 17
    assert hashlib.sha256(repr(found).encode()).hexdigest()[:20] == "e0f87b981555306d61db"


def test_without_balance_no_head_shrinks_or_grows_and_all_else_is_as_it_would_be():
    balanced = births(evolution(generations=2, population=40))
    free = births(evolution(generations=2, population=40, balance=False))
    assert [one[:3] for one in free[:40]] == [one[:3] for one in balanced[:40]]
    assert any("grow" in word for one in balanced for word in one[3:])
    assert not any("grow" in word or "shrink" in word for one in free for word in one[3:])
    # parents and crossover are drawn alike, so children differ where balance did something
    assert [one[2:4] for one in free] == [one[2:4] for one in balanced]


def test_without_immigrants_children_fill_the_generation():
    strategy = evolution(immigrants=0, generations=4)
    later = [t.candidate.origin for t in asked_in(rounds(strategy)) if t.candidate.generation]
    assert later == [Origin.CROSSOVER] * 7 * 3


@pytest.mark.parametrize("seed", [1, 2])
def test_of_the_papers_810_evaluations_a_twentieth_to_a_quarter_is_remembered(seed):
    """What `explain protocol` says of equal chromosomes."""
    born = [str(trial.subject) for trial in asked_in(rounds(evolution(SearchSpace(), seed, **PAPERS)))]
    assert len(born) == 810
    assert 0.04 <= 1 - len(set(born)) / 810 <= 0.27
