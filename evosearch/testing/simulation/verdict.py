"""What is to be said against a seed: nothing, as long as all promises are kept."""

import traceback
from collections.abc import Mapping
from functools import lru_cache

from evosearch.testing.simulation.history import REAL, Doubles, History
from evosearch.testing.simulation.observation import BrokenPromiseError, Observation, broken_rules, observe
from evosearch.testing.simulation.scenario import Scenario


def complaints(seed: int, doubles: Doubles = REAL) -> tuple[str, ...]:
    """Which promises are broken in what `seed` stands for, a line each.

    `doubles`: what takes the place of the real thing; the undisturbed searches run on the real one.
    """
    scenario = Scenario.of(seed)
    expected = undisturbed(scenario)
    try:
        history = History(scenario, doubles)
        history.run()
    except BrokenPromiseError as broken:
        return (str(broken),)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return (f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})",)
    lines = tuple(line for name in expected for line in _of(history, name, expected[name]))
    decided = {history.precision(name) for name in history.names}
    return (*lines, *([f"searches of one group compute in {decided}"] if len(decided) > 1 else []))


def _of(history: History, search: str, expected: Observation) -> tuple[str, ...]:
    recorded = history.recorded(search)
    configuration = history.scenario.configuration
    grows = configuration.grows or search in history.finals
    rungs = None if search in history.finals else configuration.halving
    repeats = search not in history.finals and configuration.repeats
    rules = broken_rules(recorded, configuration.elites, grows=grows, halving=rungs, repeats=repeats)
    observed = observe(one.event for one in recorded)
    return tuple(f"{search}: {line}" for line in (*rules, *observed.differences(expected)))


def undisturbed(scenario: Scenario) -> Mapping[str, Observation]:
    """How the searches of `scenario` end where one driver has one worker and nothing goes wrong."""
    return _run(scenario.undisturbed())


@lru_cache(maxsize=8)
def _run(scenario: Scenario) -> Mapping[str, Observation]:
    history = History(scenario)
    history.run()
    return {name: observe(one.event for one in history.recorded(name)) for name in history.names}
