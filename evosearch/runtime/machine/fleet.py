"""The searches that one driver runs side by side, and the workers they share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from evosearch.evaluation import TrialId
from evosearch.runtime.frozen import having
from evosearch.runtime.machine.fold import DriverState
from evosearch.runtime.machine.plan import Plan
from evosearch.runtime.pool import Worker
from evosearch.runtime.scheduling.survey import Survey
from evosearch.storage import Event, PrecisionResolved

TaskName: TypeAlias = tuple[str, TrialId]
"""A search of the fleet, and a trial of it."""


@dataclass(frozen=True)
class Member:
    """One search of a fleet."""

    plan: Plan
    """What it runs."""
    state: DriverState
    """Its driver's state."""
    term: int = 0
    """Of its driver, for what attempts leave behind."""
    told: PrecisionResolved | None = None
    """What `auto` means for it where its own journal does not say so yet: as another search of its group has it."""
    asked_early: tuple[int, int] | None = None
    """The generation, and how many trials were asked for by then, when its strategy was last asked for early ones: until these
    change, it has no others.
    """


@dataclass(frozen=True)
class Losses:
    """How often a node lost workers since it last finished an evaluation."""

    count: int = 0
    """Incidents."""
    witnesses: frozenset[str] = frozenset()
    """The workers that were there at the last one; whoever of them is lost too was lost with it."""
    tasks: frozenset[TaskName] = frozenset()
    """What the lost ones were doing, as (search, trial)."""


@dataclass(frozen=True)
class Fleet:
    """A group's searches, or the only one, and the pool they share."""

    members: Mapping[str, Member]
    """By name, in order."""
    workers: Mapping[str, Worker] = field(default_factory=dict)
    """By name, those that may be given work."""
    losses: Mapping[str, Losses] = field(default_factory=dict)
    """Of each node."""
    excluded: frozenset[str] = frozenset()
    """Nodes that get no more work."""
    turned_away: frozenset[str] = frozenset()
    """Names of workers that get no more work since they lack the instructions for what is trained."""
    shunned: Mapping[TaskName, tuple[str, ...]] = field(default_factory=dict)
    """Devices on which a task, as (search, trial), lost its worker: once for each process that died
    there, twice where it was the machine's fault.
    """
    suspects: frozenset[TaskName] = frozenset()
    """Tasks that may have brought down a GPU with all that was on it, as (search, trial): they run alone from then on."""
    survey: Survey = field(default_factory=Survey, compare=False, repr=False)
    """A memory of what follows from the others, see `surveyed`."""

    @classmethod
    def of(cls, *members: Member) -> "Fleet":
        """A fleet without workers yet."""
        known = (replace(one, plan=one.plan.at(one.state.precision)) for one in members)
        return cls({member.plan.name: member for member in known})

    @property
    def halted(self) -> bool:
        """Whether every search has ended, one way or another."""
        return all(member.state.halted for member in self.members.values())

    @property
    def running(self) -> Mapping[str, TaskName]:
        """Search and trial by worker name."""
        return {
            worker: (name, trial)
            for name, member in self.members.items()
            for worker, trial in member.state.running.items()
        }

    def task_of(self, worker: Worker) -> TaskName | None:
        """Search and trial of what `worker` has to do; None where that is nothing."""
        for name, member in self.members.items():
            if (trial := member.state.running.get(worker.name)) is not None:
                return name, trial
        return None

    def surveyed(self) -> Survey:
        """Who is idle where, and what waits, as this fleet stands."""
        states = {name: member.state for name, member in self.members.items()}
        self.survey.look(states, self.workers, self.excluded, self.suspects)
        return self.survey

    def with_state(self, name: str, state: DriverState, facts: Iterable[Event] = ()) -> "Fleet":
        """This fleet with another state of the search `name`, to which `facts` led."""
        if facts:
            self.survey.note(name, self.members[name].state, state, facts)
        plan = self.members[name].plan.at(state.precision)
        return self._with_member(name, replace(self.members[name], plan=plan, state=state))

    def having_asked_early(self, name: str, asked: tuple[int, int]) -> "Fleet":
        """This fleet when the search `name` was asked for early trials, as in `Member`."""
        return self._with_member(name, replace(self.members[name], asked_early=asked))

    def _with_member(self, name: str, member: Member) -> "Fleet":
        return replace(self, members=having(self.members, name, member))
