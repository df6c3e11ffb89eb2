"""A whole driver in virtual time: the real state machine, loop, fold and logbook over scripted machines.

A seed decides everything (`Scenario`): the searches, the machines, and what goes wrong. Drivers die at their commits,
before and after these are durable; nodes go away and come back; workers crash, hang, and report after they were given up;
second drivers take over; signals stop what was begun, and extensions go on with what was done. In the end each search
must have the very births, scores, generations and best that it has undisturbed, and its journal must keep the rules of
`evosearch.testing.simulation.observation`, which look at its facts alone.

`make simulate SEEDS=N`, or for one seed with all that happens in it:

    python -m evosearch.testing.simulation --seed N --trace
"""

from evosearch.testing.simulation.history import Doubles, History
from evosearch.testing.simulation.ledger import Ledger
from evosearch.testing.simulation.observation import BrokenPromiseError, Observation, broken_rules, observe
from evosearch.testing.simulation.scenario import Scenario
from evosearch.testing.simulation.verdict import complaints

__all__ = [
    "BrokenPromiseError",
    "Doubles",
    "History",
    "Ledger",
    "Observation",
    "Scenario",
    "broken_rules",
    "complaints",
    "observe",
]
