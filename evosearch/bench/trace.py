"""From the notes that sleepers left to what their scheduler cost: the same arithmetic for every contender."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from evosearch.errors import InputError
from workers.benchmarks.sleepers import Slept


@dataclass(frozen=True)
class Overhead:
    """What it costs to give a slot its next training. `seconds`: slot-seconds per candidate. `share`: of a mean training."""

    seconds: float
    share: float


def overhead(naps: Sequence[Slept], slots: int) -> Overhead:
    """Slot-seconds in which nobody slept although somebody could have, per candidate.

    The *window* begins with the nap number `slots`, whether or not the first ones have ended, so that the start of workers and the first wave are not counted, and
    ends when the last nap begins: until then the queue is not empty, and every idle slot is the scheduler's doing; how
    the last ones drain is not counted, since that is the order's (see `evosearch.bench.busy`). In the window,

        overhead = (window x slots - sum of the seconds asked for, as far as they fall into it) / naps begun in it.

    A nap counts from its begin for as long as was asked for: that a process wakes up late, writes its note and
    sends its answer is overhead too.

    Args:
        naps: all of one round.
        slots: how many were allowed at once.

    Raises:
        InputError: not one nap began after all slots were taken.
    """
    ordered = sorted(naps, key=lambda nap: nap.begin)
    begun = ordered[slots:]
    if not begun:
        raise InputError(f"{len(naps)} trainings on {slots} slots show no overhead; take more than {slots}")
    opened, closed = ordered[slots - 1].begin, ordered[-1].begin
    slept = sum(max(0.0, min(nap.begin + nap.seconds, closed) - max(nap.begin, opened)) for nap in ordered)
    seconds = ((closed - opened) * slots - slept) / len(begun)
    return Overhead(seconds, seconds / fmean(nap.seconds for nap in ordered))
