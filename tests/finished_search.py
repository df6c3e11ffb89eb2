"""A tiny search, and what a test may put in place of its workers."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from evosearch import api, session
from evosearch.config import load_config
from evosearch.runtime import EvaluatorFactory
from evosearch.storage import open_home
from evosearch.testing import FormulaEvaluator, Script, ScriptedPool

TINY = """
seed: 3
data: {name: digits}
space: {convolutions: [1, 2], channels: [4, 8], poolings: [0, 1], dense: [1, 1], units: [8, 16]}
strategy: {population: 4, generations: 2, elites: 1, immigrants: 1}
training: {epochs: 1, batch_size: 64, learning_rate: 3e-3}
workers: {count: 1}
final: {epochs: 1}
"""
EVALUATIONS = 4 + 3
FORMULA = FormulaEvaluator()


@dataclass(frozen=True)
class FinishedSearch:
    """`tiny`, trained to its end by the configuration file `config`; its journal lies in the folder `home`."""

    config: Path
    home: Path
    result: api.Finished


def train(folder: Path) -> FinishedSearch:
    """Train for real, in one process beside this one; a few seconds."""
    config = folder / "tiny.yaml"
    config.write_text(TINY)
    with open_home(None, env={}, cwd=folder, create=True) as home:
        result = api.run(load_config(config), home, executor="local")
    return FinishedSearch(config, home.folder, result)


def script_workers(
    monkeypatch: pytest.MonkeyPatch, factory: EvaluatorFactory = FORMULA, script: Script | None = None
) -> list[ScriptedPool]:
    """From here on no worker is a process, and `factory` makes its evaluator; `script`: what happens in
    its pools. Returns the pools that are made.
    """
    made: list[ScriptedPool] = []

    def make_pool(executor, settings, threads, own_factory, data, reach=None):
        made.append(ScriptedPool(factory(data, "cpu"), script))
        return made[-1]

    monkeypatch.setattr(session, "make_pool", make_pool)
    return made
