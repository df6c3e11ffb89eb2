from evosearch.evaluation import FailureKind
from evosearch.genome import parse
from evosearch.search import Candidate, Origin, Score, SearchState

MEMBERS = tuple(Candidate(n, 0, parse(f"C{n + 1} | F1"), Origin.INITIAL) for n in range(3))
FAILED = Score(failure=FailureKind.ERROR)


def state(fitness: dict[int, float | None], best=None) -> SearchState:
    scores = {n: FAILED if value is None else Score(fitness=value) for n, value in fitness.items()}
    return SearchState(1, MEMBERS, scores, best)


def test_a_state_is_complete_when_every_member_succeeded_or_failed():
    assert not state({}).complete
    assert not state({0: 0.1, 1: 0.2}).complete
    assert state({0: 0.1, 1: 0.2, 2: None}).complete


def test_scores_of_others_complete_nothing():
    assert not state({0: 0.1, 1: 0.2, 9: 0.3}).complete


def test_new_scores_leave_the_old_state_as_it_was():
    before = state({0: 0.1})
    told = {1: Score(fitness=0.2)}
    after = before.with_scores(told)
    told[2] = FAILED
    assert before == state({0: 0.1})
    assert after == state({0: 0.1, 1: 0.2})


def test_states_do_not_depend_on_the_order_of_scores():
    one, two = {1: Score(fitness=0.2)}, {0: FAILED}
    assert state({}).with_scores(one).with_scores(two) == state({}).with_scores(two).with_scores(one)
    assert state({}).with_scores(two | one) == state({}).with_scores(one | two)


def test_without_scores_candidates_are_evaluated_anew():
    before = state({0: 0.1, 1: None, 2: None, 9: 0.5})
    assert before.without_scores(frozenset({1, 2})) == state({0: 0.1, 9: 0.5})
    assert before == state({0: 0.1, 1: None, 2: None, 9: 0.5})
    assert before.without_scores(frozenset({77})) == before


def test_the_best_with_members_is_the_highest_fitness_so_far_ties_to_the_lower_number():
    assert state({0: 0.4, 1: 0.6, 2: 0.6}).best_with_members() == (MEMBERS[1], 0.6)
    assert state({0: 0.4}).best_with_members() == (MEMBERS[0], 0.4)
    assert state({0: None, 1: None, 2: 0.0}).best_with_members() == (MEMBERS[2], 0.0)


def test_an_earlier_generations_best_stays_until_a_member_is_better():
    early = Candidate(0, 0, parse("B9 | F1"), Origin.INITIAL)
    members = tuple(Candidate(n, 1, parse(f"C{n} | F1"), Origin.CROSSOVER) for n in (4, 5, 6))
    scores = {4: Score(fitness=0.3), 5: Score(fitness=0.7), 6: Score(fitness=0.5)}
    assert SearchState(1, members, scores, (early, 0.8)).best_with_members() == (early, 0.8)
    assert SearchState(1, members, scores, (early, 0.7)).best_with_members() == (early, 0.7), "lower number"
    assert SearchState(1, members, scores, (early, 0.6)).best_with_members() == (members[1], 0.7)


def test_an_early_immigrants_score_is_no_members_score():
    """Best never sees an early immigrant's result."""
    assert state({0: 0.4, 1: 0.3, 2: 0.1, 9: 0.99}).best_with_members() == (MEMBERS[0], 0.4)


def test_a_failed_evaluation_is_never_best():
    assert state({0: None, 1: None, 2: None}).best_with_members() is None
    assert state({}).best_with_members() is None
    assert state({0: None, 1: None, 2: None}, (MEMBERS[0], 0.0)).best_with_members() == (MEMBERS[0], 0.0)
