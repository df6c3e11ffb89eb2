"""Testing: doubles to drive evosearch with, and contracts that an implementation inherits to be tested.

The doubles (`FormulaEvaluator` and those that go wrong on purpose, `ScriptedPool`) need no torch and no ray. The
contracts are pytest classes: `ReplayContract`, `GenerationalContract`, `JournalContract` and `PoolContract` live in modules of their
own, so that importing this room does not import pytest.
"""

from evosearch.testing.evaluators import (
    ExitingEvaluator,
    FailingEvaluator,
    FormulaEvaluator,
    HangingEvaluator,
    LeakingEvaluator,
    RaisingEvaluator,
    Victims,
    WornEvaluator,
    formula_features,
    formula_fitness,
    formula_loss,
    formula_mask,
    formula_worth,
)
from evosearch.testing.pools import Script, ScriptedPool
from evosearch.testing.strategies import BitBreeder, LaggedStrategy

__all__ = [
    "BitBreeder",
    "ExitingEvaluator",
    "FailingEvaluator",
    "FormulaEvaluator",
    "HangingEvaluator",
    "LaggedStrategy",
    "LeakingEvaluator",
    "RaisingEvaluator",
    "Script",
    "ScriptedPool",
    "Victims",
    "WornEvaluator",
    "formula_features",
    "formula_fitness",
    "formula_loss",
    "formula_mask",
    "formula_worth",
]
