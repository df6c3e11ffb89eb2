"""What it costs to hand out a training: ours, plain Ray tasks and Ray Tune, round by round in turn on one machine."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Protocol

from evosearch.bench.durations import Durations, Overhead, first_chromosomes, overhead
from evosearch.bench.queue import StandingPool
from evosearch.bench.search import plan_of, run_searches, tiny_data
from evosearch.bench.table import Measure
from evosearch.genome import Chromosome
from evosearch.runtime import Plan, WorkerSettings
from evosearch.search import RandomSearchSettings
from workers import make_pool
from workers.benchmarks.contenders import (
    missing_for_tune,
    private_cluster,
    run_tasks,
    run_tune,
    run_tuned_tune,
)
from workers.benchmarks.sleepers import Nap, SleepingEvaluator, read_notes

TARGET_SLOTS, TARGET_MEAN, TARGET_PERCENT = 32, 1.0, 2.0
"""Issue 3: at one-second trainings and 32 slots at most 2 %. Ray Tune's published figure is 14 %."""


@dataclass(frozen=True)
class Track:
    """The size of the measurement. `mean`: seconds of a training on average. `waves`: trainings per slot."""

    slots: tuple[int, ...] = (2, 8, 32, 64)
    rounds: int = 3
    mean: float = 1.0
    waves: int = 4

    def plan(self, slots: int) -> Plan:
        """A search whose candidates are all known at once: nothing but the queue is measured."""
        return plan_of(RandomSearchSettings(evaluations=slots * self.waves))


class Contender(Protocol):
    """One way to hand out trainings. `slow`: too slow for more than one round. `start_seconds`: until all slots were up,
    where it was measured.
    """

    name: str
    slow: bool
    start_seconds: list[float]

    def run(self, folder: str) -> None:
        """All trainings of a round; notes are left in `folder`."""
        ...


def measure_overhead(track: Track, tell: Callable[[str], None]) -> list[Measure]:
    """Overhead per candidate and start per slot, for each number of slots and each contender.

    `tell`: is told what is being done, which takes minutes.
    """
    found = [measure for slots in track.slots for measure in _on_slots(track, slots, tell)]
    if TARGET_SLOTS not in track.slots:
        note = f"{TARGET_SLOTS} slots were not asked for"
        found.append(Measure(_what(track, TARGET_SLOTS), OURS_ON_RAY, (), "%", TARGET_PERCENT, note=note))
    return found


def _on_slots(track: Track, slots: int, tell: Callable[[str], None]) -> Iterator[Measure]:
    found: dict[str, list[Overhead]] = {}
    with private_cluster(2 * slots), ExitStack() as stack:
        contenders = [stack.enter_context(make) for make in _contenders(track, slots)]
        for number in range(track.rounds):
            for contender in contenders[number:] + contenders[:number]:  # none goes first in every round
                if number and contender.slow:
                    continue
                tell(f"{slots} slots, round {number + 1} of {track.rounds}: {contender.name}")
                with TemporaryDirectory() as folder:
                    contender.run(folder)
                    found.setdefault(contender.name, []).append(overhead(read_notes(folder), slots))
    for contender in contenders:
        yield from _measures(track, slots, contender, found[contender.name])
    if reason := missing_for_tune():
        yield Measure(_what(track, slots), "Ray Tune", (), "%", note=reason)


def _measures(track: Track, slots: int, contender: Contender, found: Sequence[Overhead]) -> Iterator[Measure]:
    promised = contender.name == OURS_ON_RAY and (slots, track.mean) == (TARGET_SLOTS, TARGET_MEAN)
    shares = tuple(one.share * 100 for one in found)
    yield Measure(
        _what(track, slots),
        contender.name,
        shares,
        "%",
        at_most=TARGET_PERCENT if promised else None,
        note=f"starts a process for each training, on {os.cpu_count()} cores" if contender.slow else "",
    )
    milliseconds = tuple(one.seconds * 1e3 for one in found)
    yield Measure(f"the same, {slots} slots", contender.name, milliseconds, "ms", detail=True)
    starts = tuple(seconds / slots for seconds in contender.start_seconds)
    if starts:
        yield Measure(f"start per slot, {slots} slots", contender.name, starts, "s", detail=True)


def _what(track: Track, slots: int) -> str:
    return f"overhead per candidate, trainings of {track.mean:g} s, {slots} slots"


OURS_ON_RAY = "evosearch, Ray actors"


def _contenders(track: Track, slots: int) -> Iterator[AbstractContextManager[Contender]]:
    plan = track.plan(slots)
    seconds = Durations.of(plan, track.mean).seconds
    naps = {one: seconds(one) for one in first_chromosomes(plan)}
    yield _ours("ray", OURS_ON_RAY, plan, naps, slots)
    yield _ours("local", "evosearch, processes", plan, naps, slots)
    queue = [Nap(nap) for nap in naps.values()]
    yield _theirs("plain Ray tasks", run_tasks, queue, slots)
    if not missing_for_tune():
        yield _theirs("Ray Tune, tuned", run_tuned_tune, queue, slots)
        few = queue[: slots + max(4, slots // 2)]  # processes take long to start, and few of them show it
        yield _theirs("Ray Tune, default", run_tune, few, slots, slow=True)


@dataclass
class _Ours:
    """The whole driver with a journal on disk, every dispatch and result committed with a full sync."""

    name: str
    plan: Plan
    pool: StandingPool
    folder: Path
    start_seconds: list[float]
    slow: bool = False

    def run(self, folder: str) -> None:
        """Workers stand from round to round and note what they do in one folder, which is emptied into `folder`."""
        self.pool.introduce()
        with TemporaryDirectory() as home:
            run_searches([self.plan], self.pool, Path(home))
        for notes in self.folder.iterdir():
            notes.rename(Path(folder) / notes.name)


@contextmanager
def _ours(
    executor: Literal["ray", "local"], name: str, plan: Plan, naps: dict[Chromosome, float], slots: int
) -> Iterator[Contender]:
    with TemporaryDirectory() as folder:
        settings = WorkerSettings(count=slots, device="cpu", recycle_after=None, recycle_growth=None)
        sleeper = SleepingEvaluator(naps.__getitem__, folder)
        pool = StandingPool(make_pool(executor, settings, 1, sleeper, tiny_data()))
        try:
            begun = time.perf_counter()
            pool.start()
            pool.gather(slots)
            seconds = time.perf_counter() - begun
            _warm_up(pool, slots)
            for notes in Path(folder).iterdir():
                notes.unlink()
            yield _Ours(name, plan, pool, Path(folder), [seconds])
        finally:
            pool.close()


def _warm_up(pool: StandingPool, slots: int) -> None:
    """The first training of each slot, which the others take at their gate."""
    pool.introduce()
    with TemporaryDirectory() as home:
        run_searches([plan_of(RandomSearchSettings(evaluations=slots))], pool, Path(home))


@dataclass
class _Theirs:
    """Others start with a gate that opens when all slots are up, so that their start is not counted either.

    `slow`: starts a process for every training, so that it needs no gate, and one round takes long enough.
    """

    name: str
    hand_out: Callable[[Sequence[Nap], int, str], None]
    naps: Sequence[Nap]
    slots: int
    slow: bool
    start_seconds: list[float] = field(default_factory=list)

    def run(self, folder: str) -> None:
        """First the gate, then all naps."""
        begun = time.time()
        gate = (Nap(0.0, gate=self.slots),) * (0 if self.slow else self.slots)
        self.hand_out([*gate, *self.naps], self.slots, folder)
        if not self.slow:
            self.start_seconds.append(read_notes(folder)[0].begin - begun)


@contextmanager
def _theirs(
    name: str,
    hand_out: Callable[[Sequence[Nap], int, str], None],
    naps: Sequence[Nap],
    slots: int,
    *,
    slow: bool = False,
) -> Iterator[Contender]:
    yield _Theirs(name, hand_out, naps, slots, slow)
