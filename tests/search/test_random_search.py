import pytest

from evosearch.blueprint import ImageShape, Problem
from evosearch.errors import InfeasibleSpaceError
from evosearch.evaluation import Failure, FailureKind, Success, TrainingSettings, TrialId
from evosearch.genome import SearchSpace
from evosearch.search import Origin, RandomSearchSettings, RandomSearchStrategy, SearchContext
from evosearch.testing.strategy_contract import GenerationalContract

SPACE = SearchSpace(convolutions=(1, 3), channels=(2, 9), poolings=(0, 3), dense=(0, 2), units=(2, 40))


def random_search(evaluations: int, space: SearchSpace = SPACE, seed: int = 7) -> RandomSearchStrategy:
    context = SearchContext(space, Problem(ImageShape(1, 8, 8), 2), TrainingSettings(), seed)
    return RandomSearchSettings(evaluations=evaluations).make(context)


class TestRandomSearchKeepsTheContract(GenerationalContract):
    def make_strategy(self, generations: int) -> RandomSearchStrategy:
        return random_search(9)


def test_all_individuals_stand_in_generation_0_numbered_from_0():
    strategy = random_search(12)
    asked = strategy.ask(strategy.start())
    assert [trial.number for trial in asked] == list(range(12))
    assert {(t.candidate.generation, t.candidate.origin, t.candidate.parents) for t in asked} == {
        (0, Origin.INITIAL, ())
    }


def test_the_papers_random_search_draws_1000():
    strategy = random_search(RandomSearchSettings().evaluations)
    assert strategy.evaluations == len(strategy.start().members) == 1000


def test_a_batch_norm_stands_after_every_convolution_where_the_space_says_so():
    space = SearchSpace(convolutions=(1, 3), channels=(2, 9), batch_norm=1, poolings=(0, 2), units=(2, 9))
    for member in random_search(30, space).start().members:
        assert all(gene.batch_norm for gene in member.chromosome.convolutions)


def test_a_longer_search_begins_with_the_shorter_ones_individuals():
    assert random_search(12).start().members[:5] == random_search(5).start().members


def test_another_seed_draws_other_individuals():
    assert random_search(5).start() != random_search(5, seed=8).start()


def test_what_is_told_is_not_asked_again_and_the_best_is_the_result():
    strategy = random_search(3)
    state = strategy.tell(strategy.start(), {TrialId(1): Success(0.5, 1.0)})
    assert [trial.number for trial in strategy.ask(state)] == [0, 2]
    assert not strategy.finished(state)
    state = strategy.tell(
        state, {TrialId(2): Success(0.75, 1.0), TrialId(0): Failure(FailureKind.CRASHED, "")}
    )
    assert strategy.finished(state) and strategy.ask(state) == ()
    assert state.best_with_members() == (state.members[2], 0.75)


def test_a_space_without_room_stops_the_search_at_its_start():
    with pytest.raises(InfeasibleSpaceError, match=r"101 .*space\.max_parameters"):
        random_search(3, SearchSpace(max_parameters=10)).start()
