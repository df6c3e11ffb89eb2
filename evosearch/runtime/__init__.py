"""Runtime: the driver, as a state machine and a loop that carries out what it commands.

A *fact* is an event of the journal; the driver's *state* is the fold of its facts, so that a replay and a live
driver cannot differ. `step(plan, state, event) -> (state, commands)` decides; `drive` executes. Budgets, order and
retries are decided here and nowhere else; a `WorkerPool` has no policy. No ray, no torch in this room.
"""

from evosearch.runtime.driver import Logbook, Surroundings, drive
from evosearch.runtime.machine import Assign, Begun, Record, StopAsked, step
from evosearch.runtime.plan import Plan
from evosearch.runtime.policy import POLICIES, Policy
from evosearch.runtime.pool import (
    PoolChanged,
    PoolEvent,
    Task,
    TaskDone,
    Ticket,
    Worker,
    WorkerJoined,
    WorkerLeft,
    WorkerPool,
    WorkerProgressed,
)
from evosearch.runtime.settings import EvaluatorFactory, WorkerSettings
from evosearch.runtime.signals import StopSignals
from evosearch.runtime.single import SingleTasks
from evosearch.runtime.state import DriverState, evolve, replay
from evosearch.runtime.watcher import Silence, Watcher

__all__ = [
    "POLICIES",
    "Assign",
    "Begun",
    "DriverState",
    "EvaluatorFactory",
    "Logbook",
    "Plan",
    "Policy",
    "PoolChanged",
    "PoolEvent",
    "Record",
    "Silence",
    "SingleTasks",
    "StopAsked",
    "StopSignals",
    "Surroundings",
    "Task",
    "TaskDone",
    "Ticket",
    "Watcher",
    "Worker",
    "WorkerJoined",
    "WorkerLeft",
    "WorkerPool",
    "WorkerProgressed",
    "WorkerSettings",
    "drive",
    "evolve",
    "replay",
    "step",
]
