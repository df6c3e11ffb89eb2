"""Which worker suits a candidate: on a device that holds it, shared or alone, and not where it was lost before; and whether
any device there is holds what a configuration allows.
"""

from bisect import insort
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from typing import TypeAlias

from evosearch.blueprint import SizeLimits
from evosearch.errors import CannotRunError
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
    holder: str = ""
    """Name of the worker that may have what is to be trained on; empty: nobody has."""


@dataclass
class Device:
    """What workers share. Changed as they get and end work."""

    name: str
    """As their `Worker.device`."""
    memory: float
    """Bytes, 0 where it is not known."""
    share: float = float("inf")
    """Of it, for each worker."""
    workers: int = 0
    """How many there are."""
    idle: list[Worker] = field(default_factory=list)
    """Those that have nothing to do, by name."""
    closed_by: set[str] = field(default_factory=set)
    """Names of those whose work has the device for itself."""

    @property
    def busy(self) -> int:
        """How many of its workers have something to do."""
        return self.workers - len(self.idle)


class Devices:
    """All devices of nodes that are not closed, and what their workers do, kept from step to step."""

    def __init__(self, workers: Mapping[str, Worker], excluded: Set[str] = frozenset()) -> None:
        """`workers`: by name, all idle. `excluded`: closed nodes."""
        self.by_name: dict[str, Device] = {}
        self.with_idle: set[str] = set()
        self._workers = {n: worker for n, worker in sorted(workers.items()) if worker.node not in excluded}
        for worker in self._workers.values():
            device = self.by_name.setdefault(worker.device, Device(worker.device, worker.memory or 0.0))
            device.workers += 1
            device.idle.append(worker)
        for device in self.by_name.values():
            if device.memory:
                device.share = device.memory / device.workers - CONTEXT
        self.with_idle.update(self.by_name)
        self.largest_share = max((device.share for device in self.by_name.values()), default=0.0)
        self.largest_memory = max((device.memory for device in self.by_name.values()), default=0.0)

    def give(self, name: str, need: Demand | None) -> None:
        """The worker of that name has something to do, which asks for so much; None: for nothing that counts."""
        self.free(name)
        if (worker := self._workers.get(name)) is None:
            return
        device = self.by_name[worker.device]
        device.idle.remove(worker)
        if not device.idle:
            self.with_idle.discard(device.name)
        if need and (need.alone or need.peak > device.share):
            device.closed_by.add(name)

    def free(self, name: str) -> None:
        """It has nothing to do."""
        if (worker := self._workers.get(name)) is None:
            return
        device = self.by_name[worker.device]
        device.closed_by.discard(name)
        if worker not in device.idle:
            insort(device.idle, worker, key=lambda one: one.name)
            self.with_idle.add(device.name)

    def has(self, name: str) -> bool:
        """Whether there is a worker of that name, on a node that is not closed."""
        return name in self._workers

    def device_of(self, name: str) -> str:
        """The device of a worker that there is."""
        return self._workers[name].device

    def open(self) -> dict[str, Device]:
        """Copies of those with an idle worker that nothing has for itself."""
        found = (self.by_name[name] for name in self.with_idle)
        return {one.name: replace(one, idle=list(one.idle)) for one in found if not one.closed_by}


class FreeDevices:
    """What is free while work is given out once.

    A candidate that must run alone waits until every worker of one device is free, and that device takes nothing
    else until it has ended: the others' wait is what "alone" costs. So does one whose predicted peak does not fit
    the share of any worker: it is not rejected, the prediction may be wrong. What was lost goes elsewhere if it can, and
    rather waits for another node than go back to one that it shuns for a second time.

    Args:
        devices: as they stand; they are not changed.
    """

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._keeps_clear = False
        self._full = {whole: float("inf") for whole in (False, True)}
        self._open = devices.open()
        self._ready: dict[float, list[_Ready]] = {}
        for device in self._open.values():
            self._ready.setdefault(device.share, []).append(_ready(device))
        for heap in self._ready.values():
            heapify(heap)

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
        worker = (self._take_whole if whole else self._take_one)(least, _Aversion(need.shunned))
        if worker is None and not need.shunned:
            self._full[whole] = least
        return worker

    def take_holder(self, need: Demand) -> Worker | None:
        """The worker that holds what `need` is for, which is taken then; None where it has something else to do now."""
        if self._is_whole(need) or need.shunned:
            return self.take(need)
        device = self._open.get(self._devices.device_of(need.holder))
        found = next((one for one in device.idle if one.name == need.holder), None) if device else None
        if device is None or found is None or device.share < need.peak:
            return None
        device.idle.remove(found)
        self._changed(device)
        return found

    def _is_whole(self, need: Demand) -> bool:
        """Whether it takes a device for itself."""
        return need.alone or need.peak > self._devices.largest_share

    def _least(self, need: Demand, whole: bool) -> float:
        """The share, or memory, that a device must have at least: what holds it; where none does, or nobody knows what
        would, about the largest memory there is.
        """
        if not whole:
            return need.peak
        held = not need.doubtful and need.peak + CONTEXT <= self._devices.largest_memory
        return need.peak + CONTEXT if held else ABOUT * self._devices.largest_memory

    def _fitting(self, whole: bool, least: float, aversion: "_Aversion") -> Iterable[Device]:
        """The open devices that hold it, as far as it may return there."""
        if not aversion:
            return [one for one in self._open.values() if (one.memory if whole else one.share) >= least]
        every = self._devices.by_name.values()
        holding = [one for one in every if (one.memory if whole else one.share) >= least]
        bearable = [one for one in holding if not aversion.is_strong(one)] or holding
        return [self._open[one.name] for one in bearable if one.name in self._open]

    def _take_one(self, least: float, aversion: "_Aversion") -> Worker | None:
        """A worker of the smallest device, so that large ones stay free for what needs them; of the least busy one."""
        if aversion:
            fitting = self._fitting(False, least, aversion)
            device = min(fitting, key=lambda one: (aversion.to(one), one.share, _ready(one)), default=None)
        else:
            device = self._smallest(least)
        if device is None:
            return None
        worker = device.idle.pop(0)
        self._changed(device)
        return worker

    def _changed(self, device: Device) -> None:
        """One of its workers was taken."""
        if device.idle:
            heappush(self._ready[device.share], _ready(device))
        else:
            del self._open[device.name]

    def _smallest(self, least: float) -> Device | None:
        """The same without a look at every device."""
        for share in sorted(share for share in self._ready if share >= least):
            heap = self._ready[share]
            while heap:
                device = self._open.get(heap[0][2])
                if device and _ready(device) == heap[0]:
                    return device
                heappop(heap)  # it was taken from since
        return None

    def _take_whole(self, least: float, aversion: "_Aversion") -> Worker | None:
        """The smallest idle device; where none is idle, one is kept clear, but never a second one."""
        fitting = self._fitting(True, least, aversion)
        device = min(
            fitting, key=lambda one: (one.busy, aversion.to(one), one.memory, one.name), default=None
        )
        if device is None or (device.busy and self._keeps_clear):
            return None
        del self._open[device.name]
        self._keeps_clear |= device.busy > 0
        return None if device.busy else device.idle[0]


_Ready: TypeAlias = tuple[int, str, str]


def _ready(device: Device) -> _Ready:
    """Busy workers, the first idle one, the device: of equal shares the lowest is next."""
    return device.busy, device.idle[0].name, device.name


class _Aversion:
    """How a candidate that shuns some devices likes others."""

    def __init__(self, shunned: tuple[str, ...]) -> None:
        self._devices = frozenset(shunned)
        self._nodes = Counter(map(node_of, shunned))

    def __bool__(self) -> bool:
        return bool(self._devices)

    def is_strong(self, device: Device) -> bool:
        """Whether it would rather wait."""
        return self._nodes[node_of(device.name)] > 1

    def to(self, device: Device) -> tuple[bool, bool]:
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
