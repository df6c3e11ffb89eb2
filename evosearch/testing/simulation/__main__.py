"""`python -m evosearch.testing.simulation --seeds N`: seed after seed, on all cores."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain

from evosearch.testing.simulation.history import Doubles
from evosearch.testing.simulation.scenario import SHARED, Scenario
from evosearch.testing.simulation.verdict import complaints

MODULE = "evosearch.testing.simulation"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, metavar="N", help="how many seeds (2000)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="the first of them (0)")
    parser.add_argument("--seed", type=int, metavar="N", help="this one seed alone")
    parser.add_argument("--trace", action="store_true", help="with --seed: all that happens in it")
    asked = parser.parse_args(arguments)
    if asked.seed is not None:
        return _run_one(asked.seed, trace=asked.trace)
    return _run_all(range(asked.first, asked.first + asked.seeds))


def replay_of(seed: int) -> str:
    """The command that shows what happens with `seed`."""
    return f"python -m {MODULE} --seed {seed} --trace"


def _run_one(seed: int, *, trace: bool) -> int:
    if trace:
        _say(str(Scenario.of(seed)))
    found = complaints(seed, Doubles(trace=_say) if trace else Doubles())
    _say("\n".join(found) or "every promise was kept")
    return min(len(found), 1)


def _run_all(seeds: range) -> int:
    begun, failed = time.monotonic(), 0
    lots = [seeds[first : first + SHARED] for first in range(0, len(seeds), SHARED)]
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        for seed, found in chain.from_iterable(processes.map(_failed_of, lots)):
            failed += 1
            _say(f"{found}\n    {replay_of(seed)}")
    _say(f"{len(seeds)} seeds, {failed} failed, {time.monotonic() - begun:.0f} s")
    return min(failed, 1)


def _failed_of(seeds: range) -> list[tuple[int, str]]:
    """Those that fail, each with the first that is to be said of it."""
    return [(seed, found[0]) for seed in seeds if (found := complaints(seed))]


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - it is what the command is for


if __name__ == "__main__":
    sys.exit(main())
