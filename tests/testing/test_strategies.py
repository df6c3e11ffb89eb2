"""Strategies that know no generations, or breed something else than networks, keep what every strategy promises."""

from evosearch.evaluation import Masks
from evosearch.search import AnyStrategy
from evosearch.testing import BitBreeder, LaggedStrategy
from evosearch.testing.strategy_contract import ReplayContract


class TestALaggedStrategyKeepsTheContract(ReplayContract):
    def make_strategy(self, generations: int) -> AnyStrategy:
        return LaggedStrategy()


class TestABreederOfBitsKeepsTheContract(ReplayContract):
    def make_strategy(self, generations: int) -> AnyStrategy:
        return BitBreeder()


def test_what_the_breeder_trials_are_masks():
    asked = BitBreeder().ask(BitBreeder().start())
    assert [type(trial.subject) for trial in asked] == [Masks]
