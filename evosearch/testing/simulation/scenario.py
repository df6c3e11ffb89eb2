"""What a seed stands for: the searches, the machines they run on, and all that goes wrong."""

from dataclasses import dataclass, field, replace
from random import Random
from typing import Literal

from evosearch.runtime import TimeLimits
from evosearch.testing.simulation.searches import Configuration

SHARED = 40
"""So many seeds in a row disturb the same searches, whose undisturbed run is made once."""


@dataclass(frozen=True)
class Machines:
    """What the searches run on; seconds are virtual.

    `own_devices`: whether each worker has one. `memory`: of each device, None on CPUs. `seconds`: mean of a training.
    `life`: mean time until a node goes away; None: never. `repair`: until it is back, or one in its place under a name of
    its own. `limits`: as a driver keeps them. `shared_disk`: whether all nodes have one. `checkpoint_minutes`: as
    configured. `lacking`: which nodes, from 0, have no instructions for bf16; never all. `mps`: whether workers that share a
    device do so through NVIDIA's MPS, so that one that dies takes the others along.
    """

    nodes: int = 1
    per_node: int = 1
    own_devices: bool = False
    memory: int | None = None
    seconds: float = 1.0
    life: float | None = None
    repair: float = 1.0
    same_names: bool = False
    recycle_after: int | None = None
    limits: TimeLimits = field(default_factory=TimeLimits)
    shared_disk: bool = True
    checkpoint_minutes: float | None = None
    lacking: frozenset[int] = frozenset()
    mps: bool = False


@dataclass(frozen=True)
class Troubles:
    """How often what goes wrong, as the chance at each occasion.

    At each commit: `dies_before` or `dies_after` it is durable; the server goes `away` before or after; the driver
    stands still (`pauses`), or a second one takes over (`superseded`). At each submission: `dies_submitting`. At each
    turn of the loop: `stopped` by a signal. Of each attempt: its process crashes, its worker is lost, memory runs out,
    an error is raised, it hangs, it is too slow, its node goes away. `returns`: chance that who was given up still
    reports. `extended`: that a resume asks for what is still to come before what comes before is done. `again`: that a
    search that is done is driven again.
    """

    dies_before: float = 0.0
    dies_after: float = 0.0
    dies_submitting: float = 0.0
    away: float = 0.0
    pauses: float = 0.0
    superseded: float = 0.0
    stopped: float = 0.0
    crashes: float = 0.0
    lost: float = 0.0
    out_of_memory: float = 0.0
    errors: float = 0.0
    hangs: float = 0.0
    slow: float = 0.0
    outages: float = 0.0
    returns: float = 0.0
    extended: float = 0.0
    again: float = 0.0


Plague = Literal["none", "machines", "code", "processes"]
PLAGUES: tuple[Plague, ...] = ("none", "machines", "code", "processes")
"""What goes wrong until the search stops for it, once: a candidate that loses its worker each time; everything
ends as an error, or crashes, from the start.
"""


@dataclass(frozen=True)
class Scenario:
    """All that a seed stands for.

    `totals`: of generations, each reached by an extension of the one before. `repeats`: how often the first search's best
    is then trained again in all, each reached by a longer list; empty: never.
    """

    seed: int
    configuration: Configuration
    machines: Machines
    troubles: Troubles
    plague: Plague
    totals: tuple[int, ...]
    repeats: tuple[int, ...]

    @classmethod
    def of(cls, seed: int) -> "Scenario":
        """What `seed` stands for."""
        configuration = Configuration.of(seed // SHARED)
        chance = Random(f"scenario {seed}")
        machines, troubles = _machines(chance), _troubles(chance)
        shared = machines.memory is not None and not machines.own_devices
        machines = replace(
            machines,
            lacking=_lacking(Random(f"precisions {seed}"), machines.nodes),
            mps=shared and Random(f"mps {seed}").random() < 0.7,
        )
        plague = chance.choices(PLAGUES, (20, 2, 0, 0) if configuration.grows else (20, 2, 1, 1))[0]
        totals = _rising(chance, configuration.settings.generations)
        repeats: tuple[int, ...] = chance.choices(((), (2,), (1, 2)), (4, 1, 1))[0]
        if repeats and machines.nodes > 1 and not machines.shared_disk:
            repeats = (1,)  # several are refused there
        return cls(seed, configuration, machines, troubles, plague, totals, repeats)

    def undisturbed(self) -> "Scenario":
        """The same searches where one driver has one worker, and nothing goes wrong."""
        totals, repeats = self.totals[-1:], self.repeats[-1:]
        return Scenario(0, self.configuration, Machines(), Troubles(), "none", totals, repeats)


def _machines(chance: Random) -> Machines:
    seconds = chance.choice([0.3, 1.0, 3.0])
    return Machines(
        nodes=chance.randint(1, 3),
        per_node=chance.randint(1, 3),
        own_devices=chance.random() < 0.3,
        memory=chance.choice([None, 16 * 2**30]),
        seconds=seconds,
        life=chance.choice([None, None, chance.uniform(1, 8) * seconds]),
        repair=chance.uniform(0.1, 5),
        same_names=chance.random() < 0.3,
        recycle_after=chance.choice([None, None, 1, 3]),
        limits=TimeLimits(stall=20.0, hard=chance.choice([None, 60.0])),
        shared_disk=chance.random() < 0.5,
        checkpoint_minutes=chance.choice([None, chance.uniform(0.1, 0.7) * seconds / 60]),
    )


def _lacking(chance: Random, nodes: int) -> frozenset[int]:
    lacking = [node for node in range(nodes) if chance.random() < 0.4]
    return frozenset(lacking if len(lacking) < nodes else ())


def _troubles(chance: Random) -> Troubles:
    def rate(most: float) -> float:
        return chance.uniform(0, most) if chance.random() < 0.4 else 0.0

    return Troubles(
        dies_before=rate(0.08),
        dies_after=rate(0.08),
        dies_submitting=rate(0.05),
        away=rate(0.2),
        pauses=rate(0.1),
        superseded=rate(0.08),
        stopped=rate(0.02),
        crashes=rate(0.3),
        lost=rate(0.3),
        out_of_memory=rate(0.2),
        errors=rate(0.2),
        hangs=rate(0.2),
        slow=rate(0.2),
        outages=rate(0.3),
        returns=rate(1.0),
        extended=rate(0.5),
        again=rate(0.5),
    )


def _rising(chance: Random, last: int) -> tuple[int, ...]:
    """Numbers up to `last`, some of those before it among them."""
    before = [number for number in range(1, last) if chance.random() < 0.25]
    return (*before, last)
