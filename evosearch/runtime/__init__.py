"""Runtime: the driver, as a state machine and a loop that carries out what it commands.

A *fact* is an event of the journal; a search's *state* is the fold of its facts, so that a replay and a live
driver cannot differ. A *fleet* is the searches of one driver, usually one, with the workers they share.
`step(fleet, event) -> (fleet, commands)` decides; `drive` executes. Budgets, order, limits and retries are decided here and
nowhere else; a `WorkerPool` has no policy. No ray, no torch in this room.
"""

from evosearch.runtime.driver import Logbook, Surroundings, drive, starting
from evosearch.runtime.faults.policy import Policy, policy_of
from evosearch.runtime.faults.stalls import StallDetector, TimeLimits
from evosearch.runtime.machine.consequences import ALL_DIVERGED, RULES, retried
from evosearch.runtime.machine.fleet import Fleet, Member
from evosearch.runtime.machine.fold import DriverState, bred_again, evolve, replay
from evosearch.runtime.machine.plan import FEATURES, Plan, ReadingName, SplitReader, start_file
from evosearch.runtime.machine.step import Assign, Begun, Exclude, Record, StopAsked, TurnAway, step
from evosearch.runtime.pool import (
    Notices,
    PoolChanged,
    PoolEvent,
    TaskDone,
    Ticket,
    Worker,
    WorkerJoined,
    WorkerLeft,
    WorkerPool,
    WorkerProgressed,
    auto_on,
    freed,
    lost_with,
)
from evosearch.runtime.scheduling.costs import ENOUGH, Timings, Work, work_of
from evosearch.runtime.scheduling.placement import CONTEXT
from evosearch.runtime.settings import (
    MOST_PER_GPU,
    Checkpointing,
    EvaluatorFactory,
    WorkerSettings,
    checkpoint_room,
)
from evosearch.runtime.signals import StopSignals
from evosearch.runtime.watcher import Silence, Watcher, Watchers

__all__ = [
    "ALL_DIVERGED",
    "CONTEXT",
    "ENOUGH",
    "FEATURES",
    "MOST_PER_GPU",
    "RULES",
    "Assign",
    "Begun",
    "Checkpointing",
    "DriverState",
    "EvaluatorFactory",
    "Exclude",
    "Fleet",
    "Logbook",
    "Member",
    "Notices",
    "Plan",
    "Policy",
    "PoolChanged",
    "PoolEvent",
    "ReadingName",
    "Record",
    "Silence",
    "SplitReader",
    "StallDetector",
    "StopAsked",
    "StopSignals",
    "Surroundings",
    "TaskDone",
    "Ticket",
    "TimeLimits",
    "Timings",
    "TurnAway",
    "Watcher",
    "Watchers",
    "Work",
    "Worker",
    "WorkerJoined",
    "WorkerLeft",
    "WorkerPool",
    "WorkerProgressed",
    "WorkerSettings",
    "auto_on",
    "bred_again",
    "checkpoint_room",
    "drive",
    "evolve",
    "freed",
    "lost_with",
    "policy_of",
    "replay",
    "retried",
    "start_file",
    "starting",
    "step",
    "work_of",
]
