"""One Ray actor of a pool: its calls and what is known of it, from the order until its end."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor
from typing import Any, Literal

from evosearch.evaluation import Task
from evosearch.runtime import EvaluatorFactory, Ticket, Worker, WorkerSettings
from workers.ray_pool.actor import WATCH, Position, WorkerActor
from workers.ray_pool.environment import added
from workers.worker.preflight import Reach
from workers.worker.service import Upkeep

START_SECONDS = 300.0
"""A worker that is not ready so long after it came up hangs, as CUDA does on a GPU that is ill; importing torch over a
network takes a minute at worst."""

STACK_SECONDS = 2.0
"""How long a worker that is to be killed may take to say where it is."""


@dataclass(eq=False)
class ActorHandle:
    """One actor."""

    node: str
    """Ray's id of its node."""
    actor: Any
    """Ray's handle of it."""
    attempt: int
    """1 for the first of its slot, one more after each that died before it was ready."""
    call: Any
    """What it was asked last and has not answered: to introduce itself, to prepare, its task, or, while
    `suspect_until` says that it cannot be reached, whether it is there.
    """
    born: float = field(default_factory=time.monotonic)
    """When it was ordered, then when it was asked to prepare, in monotonic seconds."""
    met: bool = False
    """Whether it has introduced itself."""
    device: str = "cpu"
    """Where it computes once it is `met`: "cpu", or "cuda:N" as its host counts."""
    worker: Worker | None = None
    """None until it is ready."""
    ticket: Ticket | None = None
    """Of the task that it works at; None: it has none."""
    knock: Any = None
    """The call before its task; None once that is answered."""
    suspect_until: float | None = None
    """Monotonic seconds until which it may be unreachable; None: it can be reached."""
    pulse: Any = None
    """An unanswered question for its progress; None: there is none."""
    asked: float = 0.0
    """When `pulse` was asked, in monotonic seconds."""
    beats: int = 0
    """The last answer to `pulse`."""
    leaves: str = ""
    """Why it gets no other task; empty: it may get one."""
    leads: bool = True
    """Whether it holds the larger share of its GPU."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that it was started with besides those of its node and job."""

    @property
    def idle(self) -> bool:
        """Whether it is ready and has nothing to do."""
        return self.worker is not None and self.call is None

    def waits_for_room(self, patience: float) -> bool:
        """Whether Ray has not started it for so many seconds."""
        return not self.met and time.monotonic() > self.born + patience

    def prepare(self) -> None:
        """Let it make its evaluator."""
        self.met = True
        self.born = time.monotonic()
        self.call = self.actor.prepare.remote("cpu" if self.device == "cpu" else "cuda:0")

    def begin(self, ticket: Ticket, task: Task) -> None:
        """Give it a task. How it gets on is asked later: of one that takes no time nothing is reported but its end."""
        self.ticket = ticket
        self.pulse = None
        self.asked = time.monotonic()
        self.knock = self.actor.ping.remote()  # answered before the task begins
        self.call = self.actor.run.remote(task)

    def ask_pulse(self, period: float) -> None:
        """Ask how it gets on, unless it was asked within `period` seconds or has not answered yet."""
        if self.worker and self.pulse is None and time.monotonic() - self.asked >= period:
            self.asked = time.monotonic()
            self.pulse = self._watch(self.actor.pulse)

    @property
    def waits_behind_knock(self) -> bool:
        """Whether it is not known yet that its task could begin."""
        return self.knock is not None and self.ticket is not None and self.suspect_until is None

    def knocked(self, patience: float) -> None:
        """The call before its task has ended. Where that got lost on its way, Ray lets the task wait for it for ever."""
        import ray
        from ray.exceptions import ActorUnavailableError, RayError

        try:
            ray.get(self.knock)
            self.knock = None
        except ActorUnavailableError:
            self.suspect(patience)
        except RayError:  # it is dead: its task reports that
            return

    def suspect(self, patience: float) -> None:
        """It may be dead, or merely out of reach; its result is lost either way, but not why. Ask until it is known."""
        if self.suspect_until is None:
            self.suspect_until = time.monotonic() + patience
        self.call = self._watch(self.actor.pulse)

    def late(self, patience: float) -> str:
        """Why it must be given up, since it says nothing for too long; empty where it need not."""
        now = time.monotonic()
        unheard = self.idle and self.pulse is not None and now > self.asked + patience
        if unheard or (self.suspect_until is not None and now > self.suspect_until):
            return f"the worker could not be reached for {patience:.0f} seconds"
        if self.met and not self.worker and now > self.born + START_SECONDS:
            return f"the worker was not ready after {START_SECONDS:.0f} seconds"
        return ""

    def find_position(self) -> Position | None:
        """Where its task is; None if it does not answer within `STACK_SECONDS`."""
        import ray
        from ray.exceptions import RayError

        answered, _ = ray.wait([self._watch(self.actor.position)], timeout=STACK_SECONDS)
        try:
            position: Position | None = ray.get(answered[0]) if answered else None
        except RayError:
            return None
        return position

    def died_idle(self) -> bool:
        """Whether it was dead before its task came: then it did not die of the task that was the first to notice."""
        return self.knock is not None and not has_answered(self.knock)

    def kill(self) -> None:
        """End its process, whatever it does; one that does not take signals is gone five seconds later."""
        import ray

        ray.kill(self.actor)

    def _watch(self, method: Any) -> Any:
        return method.options(concurrency_group=WATCH).remote()


@dataclass(frozen=True)
class ActorSpec:
    """What the actors of a pool are made from."""

    factory: EvaluatorFactory
    """Makes the evaluator in each."""
    data: Any
    """A reference into Ray's object store: the search's data."""
    settings: WorkerSettings
    """Of the pool."""
    threads: int
    """Of torch, in each."""
    device: Literal["cpu", "cuda"]
    """On what they train."""
    reach: Reach | None
    """Says on its node whether the artifact store can be reached; None: there is none to reach."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables to start them with, unless their node says otherwise."""

    def order(self, node: str, attempt: int, *, leads: bool, environment: Mapping[str, str]) -> ActorHandle:
        """An actor on the node of this id, which starts in its own time. Ray restarts and retries nothing.

        `leads`: whether it shall be the first one of a GPU. `environment`: variables to start it with.
        """
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        made = ray.remote(  # type: ignore[call-overload] # its types know no concurrency groups
            num_cpus=self.threads,
            num_gpus=0 if self.device == "cpu" else share_of_gpu(self.settings.per_gpu, leads=leads),
            max_restarts=0,
            max_task_retries=0,
            concurrency_groups={WATCH: 1},
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
            runtime_env={"env_vars": added(environment)} if environment else None,
        )(WorkerActor)
        upkeep = Upkeep.of(self.settings).at(attempt)
        actor: Any = made.remote(self.factory, self.data, self.threads, upkeep, self.reach)
        introduction = actor.introduce.remote()
        return ActorHandle(node, actor, attempt, introduction, leads=leads, environment=environment)


LEADING_SHARE = 0.51
"""Of a GPU: no two fit on one, so that Ray puts the first workers of a node on a GPU each; it fills one after the other."""


def share_of_gpu(per_gpu: int | Literal["auto"], *, leads: bool) -> float:
    """What Ray is asked for, of a GPU that `per_gpu` workers share; Ray counts in ten-thousandths. auto: it is not known yet how many
    will join the first one, which must leave them room.
    """
    if per_gpu == 1:
        return 1.0
    if leads or not isinstance(per_gpu, int):
        return LEADING_SHARE
    return floor(10_000 * (1 - LEADING_SHARE) / (per_gpu - 1)) / 10_000


def has_answered(call: Any) -> bool:
    """Whether a call has ended without an error."""
    import ray
    from ray.exceptions import RayError

    ended, _ = ray.wait([call], timeout=0)
    try:
        ray.get(ended)
    except RayError:
        return False
    return bool(ended)


def answered(calls: list[Any], timeout: float) -> list[Any]:
    """The calls that have ended; waits at most `timeout` seconds for the first of them."""
    import ray

    if not calls:
        time.sleep(timeout)  # nothing can come, and the caller must not spin
        return []
    first, _ = ray.wait(calls, num_returns=1, timeout=timeout)
    if not first:
        return []
    ended, _ = ray.wait(calls, num_returns=len(calls), timeout=0)
    return list(ended)
