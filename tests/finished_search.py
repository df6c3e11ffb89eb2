"""A tiny search, and what a test may put in place of its workers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from evosearch import api
from evosearch.api import Finished, Providers
from evosearch.blueprint import NetworkSize
from evosearch.config import load_config
from evosearch.runtime import EvaluatorFactory
from evosearch.session import SearchSession
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
    result: Finished


def train(folder: Path) -> FinishedSearch:
    """Train for real, in one process beside this one; a few seconds."""
    config = folder / "tiny.yaml"
    config.write_text(TINY)
    with open_home(None, env={}, cwd=folder, create=True) as home:
        result = api.run(load_config(config), home, executor="local")
    return FinishedSearch(config, home.folder, result)


class Api:
    """`evosearch.api`, whose functions that train are given the test's own workers, images and clock."""

    def __init__(self) -> None:
        self.providers = Providers()

    def give(self, **providers: Any) -> None:
        """From here on these; see `Providers`."""
        self.providers = replace(self.providers, **providers)

    @contextmanager
    def giving(self, **providers: Any) -> Iterator[None]:
        """These, until it ends."""
        before = self.providers
        self.give(**providers)
        try:
            yield
        finally:
            self.providers = before

    def __getattr__(self, name: str) -> Any:
        found = getattr(api, name)
        trains = name in (
            "run",
            "run_group",
            "run_study",
            "resume",
            "resume_group",
            "resume_study",
            "retrain",
        )
        return partial(self._call, found) if trains else found

    def _call(self, function: Any, *arguments: Any, **named: Any) -> Any:
        return function(*arguments, **{"providers": self.providers, **named})


def script_workers(
    given: Api, factory: EvaluatorFactory = FORMULA, script: Script | None = None
) -> list[ScriptedPool]:
    """From here on no worker is a process, and `factory` makes its evaluator; `script`: what happens in
    its pools. Returns the pools that are made.
    """
    made: list[ScriptedPool] = []

    def make_pool(executor, settings, threads, own_factory, data, reach=None, most=None, peak=None):
        made.append(ScriptedPool(factory(data, "cpu"), script))
        return made[-1]

    given.give(make_pool=make_pool)
    return made


def measure(networks, problem):
    """Stands in for `workers.measure_sizes`: every network is as big as ResNet-18."""
    return (NetworkSize(layers=60, parameters=11_177_538, flops=70_000_000, activations=90_000),) * len(
        networks
    )


class FailingPool(ScriptedPool):
    """One that raises as soon as a driver is at work."""

    def __init__(self, error):
        super().__init__(FormulaEvaluator())
        self._error = error

    def poll(self, timeout):
        raise self._error


def hold_late(monkeypatch, what):
    """`what` is done once, after the next driver has looked at the journal and before it takes its search."""
    hold, others = SearchSession.hold, [True]

    def late(session, *arguments):
        if others and others.pop():
            what()
        return hold(session, *arguments)

    monkeypatch.setattr(SearchSession, "hold", late)


class DyingPool(ScriptedPool):
    """One whose driver is killed at the n-th time that it waits."""

    def __init__(self, evaluator, waits):
        super().__init__(evaluator)
        self._waits = waits

    def poll(self, timeout):
        self._waits -= 1
        if self._waits < 0:
            raise ZeroDivisionError("killed")
        return super().poll(timeout)


def killed_to_its_end(api, home, config, evaluator, *, waits, least, most=20):
    """The study `config`, whose driver dies at each wait after `waits` of them, and is run or resumed again until it ends.

    `least`, `most`: deaths that it takes.
    """

    def make_pool(executor, settings, threads, factory, data, reach=None, most=None, peak=None):
        return DyingPool(evaluator(data, "cpu"), waits=waits)

    deaths = 0
    with api.giving(make_pool=make_pool):
        while True:
            try:
                study = (
                    api.run_study(config, home) if deaths % 2 == 0 else api.resume_study(config.name, home)
                )
                break
            except ZeroDivisionError:
                deaths += 1
                assert deaths < most
    assert deaths >= least
    return study
