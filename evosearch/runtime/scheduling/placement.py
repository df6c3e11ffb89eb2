"""Which worker suits a candidate: on a device that holds it, shared or alone, and not where it was lost before; and whether
any device there is holds what a configuration allows.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from evosearch.blueprint import SizeLimits
from evosearch.errors import CannotRunError
from evosearch.runtime.machine.fleet import Fleet
from evosearch.runtime.machine.plan import Plan
from evosearch.runtime.pool import Worker, node_of

CONTEXT = 768 * 2**20
"""Bytes that a process takes of a GPU before it has a network: CUDA's context, kernels, workspaces."""


ABOUT = 0.95
"""Devices with so much of the largest one's memory are as large: two of one kind differ by some megabytes."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a candidate asks of a device."""

    peak: int
    """Bytes, predicted."""
    alone: bool = False
    """Nothing else may run there, after what happened to it."""
    doubtful: bool = False
    """Memory ran out, or nothing is predicted, so that `peak` says nothing."""
    shunned: tuple[str, ...] = ()
    """As in `Fleet`."""


@dataclass
class _Device:
    """`memory`: bytes, 0 where it is not known. `share`: of each of its workers. `idle`: by name, in order."""

    name: str
    memory: float
    share: float = float("inf")
    workers: int = 0
    idle: list[Worker] = field(default_factory=list)

    @property
    def busy(self) -> int:
        return self.workers - len(self.idle)


class FreeDevices:
    """What is free while work is given out once.

    A candidate that must run alone waits until every worker of one device is free, and that device takes nothing
    else until it has ended: the others' wait is what "alone" costs. So does one whose predicted peak does not fit
    the share of any worker: it is not rejected, the prediction may be wrong. What was lost goes elsewhere if it can, and
    rather waits for another node than go back to one that it shuns for a second time.

    Args:
        fleet: the workers, of which closed nodes' get nothing.
        running: what runs, by worker name.
    """

    def __init__(self, fleet: Fleet, running: Mapping[str, Demand]) -> None:
        self._devices = _devices(fleet)
        self._largest_share = max((device.share for device in self._devices.values()), default=0.0)
        self._largest_memory = max((device.memory for device in self._devices.values()), default=0.0)
        self._keeps_clear = False
        self._full = {whole: float("inf") for whole in (False, True)}
        closed = {
            worker.device
            for name, need in running.items()
            if (worker := fleet.workers.get(name))
            and (device := self._devices.get(worker.device))
            and (need.alone or need.peak > device.share)
        }
        self._open = {
            name: device for name, device in self._devices.items() if device.idle and name not in closed
        }

    @property
    def open(self) -> bool:
        """Whether anybody can still be given work."""
        return bool(self._open)

    def take(self, need: Demand) -> Worker | None:
        """The worker for `need`, which is taken then; None where it has to wait."""
        whole = self._is_whole(need)
        least = self._least(need, whole)
        if not need.shunned and least >= self._full[whole]:  # what asked for less found nothing
            return None
        aversion = _Aversion(need.shunned)
        fitting = self._fitting(whole, least, aversion)
        worker = (self._take_whole if whole else self._take_one)(fitting, aversion)
        if worker is None and not need.shunned:
            self._full[whole] = least
        return worker

    def _is_whole(self, need: Demand) -> bool:
        """Whether it takes a device for itself."""
        return need.alone or need.peak > self._largest_share

    def _least(self, need: Demand, whole: bool) -> float:
        """The share, or memory, that a device must have at least: what holds it; where none does, or nobody knows what
        would, about the largest memory there is.
        """
        if not whole:
            return need.peak
        held = not need.doubtful and need.peak + CONTEXT <= self._largest_memory
        return need.peak + CONTEXT if held else ABOUT * self._largest_memory

    def _fitting(self, whole: bool, least: float, aversion: "_Aversion") -> Iterable[_Device]:
        """The open devices that hold it, as far as it may return there."""
        if not aversion:
            return [one for one in self._open.values() if (one.memory if whole else one.share) >= least]
        holding = [one for one in self._devices.values() if (one.memory if whole else one.share) >= least]
        bearable = [one for one in holding if not aversion.is_strong(one)] or holding
        return [one for one in bearable if one.name in self._open]

    def _take_one(self, fitting: Iterable[_Device], aversion: "_Aversion") -> Worker | None:
        """A worker of the smallest device, so that large ones stay free for what needs them; of the least busy one."""
        device = min(
            fitting, key=lambda one: (aversion.to(one), one.share, one.busy, one.idle[0].name), default=None
        )
        if device is None:
            return None
        worker = device.idle.pop(0)
        if not device.idle:
            del self._open[device.name]
        return worker

    def _take_whole(self, fitting: Iterable[_Device], aversion: "_Aversion") -> Worker | None:
        """The smallest idle device; where none is idle, one is kept clear, but never a second one."""
        device = min(
            fitting, key=lambda one: (one.busy, aversion.to(one), one.memory, one.name), default=None
        )
        if device is None or (device.busy and self._keeps_clear):
            return None
        del self._open[device.name]
        self._keeps_clear |= device.busy > 0
        return None if device.busy else device.idle[0]


def _devices(fleet: Fleet) -> dict[str, _Device]:
    """All devices of nodes that are not closed."""
    devices: dict[str, _Device] = {}
    busy = fleet.running
    for name, worker in sorted(fleet.workers.items()):
        if worker.node in fleet.excluded:
            continue
        device = devices.setdefault(worker.device, _Device(worker.device, worker.memory or 0.0))
        device.workers += 1
        if name not in busy:
            device.idle.append(worker)
    for device in devices.values():
        if device.memory:
            device.share = device.memory / device.workers - CONTEXT
    return devices


class _Aversion:
    """How a candidate that shuns some devices likes others."""

    def __init__(self, shunned: tuple[str, ...]) -> None:
        self._devices = frozenset(shunned)
        self._nodes = Counter(map(node_of, shunned))

    def __bool__(self) -> bool:
        return bool(self._devices)

    def is_strong(self, device: _Device) -> bool:
        """Whether it would rather wait."""
        return self._nodes[node_of(device.name)] > 1

    def to(self, device: _Device) -> tuple[bool, bool]:
        """The lower, the better: another node, else another device."""
        return node_of(device.name) in self._nodes, device.name in self._devices


GIB = 2**30


def check_limits(limits: SizeLimits, workers: Sequence[Worker], *, all_there: bool) -> bool:
    """Hold `space.max_memory` against the largest device; on CPUs, and without that limit, nothing can be said.

    Returns: whether work may be given out; not yet where a larger device may still come, since not `all_there`.

    Raises:
        CannotRunError: not even the largest device, alone, holds a network of that size; the message has the numbers.
    """
    if limits.max_memory is None or any(worker.memory is None for worker in workers):
        return True
    known = [(worker.memory or 0, worker.device) for worker in workers]
    memory, device = max(known, default=(0, ""))
    if limits.max_memory <= memory - CONTEXT:
        return True
    if known and all_there:
        raise CannotRunError(
            f"space.max_memory allows networks of {limits.max_memory / GIB:.1f} GiB, but the largest device, {device}, "
            f"has {memory / GIB:.1f} GiB, {CONTEXT / GIB:.2f} of them for CUDA itself; lower space.max_memory"
        )
    return False


def check_readings(plan: Plan, workers: Sequence[Worker], *, all_there: bool) -> bool:
    """See that whoever reads the test split finds the weights of what was trained: several networks that are trained on
    several machines leave them where each of these, and the next driver's, reaches them.

    Returns: whether work may be given out; not yet where workers on another machine may still come.

    Raises:
        CannotRunError: there are several machines, and no place that all of them reach.
    """
    if plan.reader is None or plan.reader.shared or plan.strategy.evaluations == 1:
        return True
    nodes = sorted({worker.node for worker in workers})
    if len(nodes) > 1:
        raise CannotRunError(
            f"the {plan.strategy.evaluations} trainings of {plan.name!r} would leave their weights on the disks of "
            f"{len(nodes)} nodes ({', '.join(nodes)}), each on its own; set storage.artifacts to a URL or to a folder "
            "that all nodes share (`evosearch run CONFIG` journals it), or workers.count to 1"
        )
    return all_there
