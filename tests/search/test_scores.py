import pickle

import pytest

from evosearch.evaluation import FailureKind, Success
from evosearch.genome import parse
from evosearch.search import Candidate, Origin, Score
from evosearch.search.state import score_of


def test_a_score_is_a_fitness_or_a_failure_and_never_both_or_neither():
    with pytest.raises(ValueError, match="either a fitness or a failure, found None and None"):
        Score()
    with pytest.raises(ValueError, match=r"either a fitness or a failure, found 0\.5 and diverged"):
        Score(0.5, FailureKind.DIVERGED)


def test_a_success_that_nothing_judges_is_neither():
    assert score_of(Success(None, 1.0)) == Score(unjudged=True) == score_of(Success(None, 1.0), "auroc")
    assert score_of(Success(0.5, 1.0)) == Score(0.5)
    with pytest.raises(ValueError, match="either a fitness or a failure"):
        Score(failure=FailureKind.DIVERGED, unjudged=True)


@pytest.mark.parametrize("fitness", [-0.01, 1.01, float("nan"), float("inf"), -1.0])
def test_a_fitness_outside_0_to_1_is_refused(fitness):
    with pytest.raises(ValueError, match="a fitness lies between 0 and 1, found"):
        Score(fitness=fitness)


@pytest.mark.parametrize("fitness", [0, 0.0, 1.0])
def test_the_bounds_are_fitness_values(fitness):
    assert Score(fitness=fitness).fitness == fitness


def test_candidates_and_scores_are_values_that_survive_pickling():
    child = Candidate(7, 1, parse("C1 P | F2"), Origin.CROSSOVER, (0, 3), ("copied",))
    assert pickle.loads(pickle.dumps(child)) == child
    assert hash(child) == hash(Candidate(7, 1, parse("C1 P | F2"), Origin.CROSSOVER, (0, 3), ("copied",)))
    failed = Score(failure=FailureKind.CRASHED)
    assert pickle.loads(pickle.dumps(failed)) == failed
    with pytest.raises(AttributeError):
        child.number = 8


def test_origins_are_the_words_of_the_results_command():
    assert [str(origin) for origin in Origin] == ["initial", "immigrant", "crossover", "listed"]
