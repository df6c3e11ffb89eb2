"""How searches get on, on standard error: a live display on a terminal, plain lines everywhere else."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from math import isfinite
from statistics import fmean
from typing import assert_never

from rich.console import Console, RenderableType
from rich.live import Live

from evosearch.cli.output import tell
from evosearch.cli.panel import panel
from evosearch.cli.tally import Tallies, Tally
from evosearch.evaluation import Features, Losses, Measure, Measured, Success, Trial, TrialId
from evosearch.printable import printable
from evosearch.reports import counted
from evosearch.runtime import DriverState, Plan, Watcher
from evosearch.search import SearchProgress, score_of
from evosearch.storage import (
    Born,
    Completed,
    Dispatched,
    DriverStarted,
    Event,
    Extended,
    Failed,
    Finished,
    GenerationStarted,
    Interrupted,
    LiveCurve,
    PrecisionResolved,
    ProcessorSeen,
    Recalled,
    Reopened,
    SearchCreated,
    Stopped,
    TestRead,
    TestReadingBegun,
    TestReadingFailed,
    VerdictReached,
)


@contextmanager
def show_progress() -> Iterator[Watcher]:
    """A watcher that prints to standard error for as long as the context lasts."""
    console = Console(stderr=True, highlight=False, emoji=False)
    if not console.is_terminal:
        yield Lines(tell)
        return
    display = Display(console)
    try:
        yield display
    finally:
        display.close()


class Lines:
    """One line per finished evaluation, with the time of day: for job logs, files and pipes. In a group the member follows."""

    def __init__(
        self,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        stamp: Callable[[], str] = lambda: time.strftime("%H:%M:%S"),
    ) -> None:
        self._write = write
        self._stamp = stamp
        self._tallies = Tallies(clock)

    def note(self, text: str) -> None:
        """As it is."""
        self._say(text)

    def wait(self, text: str) -> None:
        """Once."""
        self._tallies.wait(text)
        self._say(text)

    def _say(self, text: str) -> None:
        self._write(f"{self._stamp()} {text}")

    def begin(self, plan: Plan, state: DriverState) -> None:
        """Remember what to count from; say so where the search goes on."""
        tally = self._tallies.begin(plan, state)
        if tally.done_before:
            at = "" if tally.is_list else f" at generation {state.progress.generation}"
            self._say(f"{plan.name}: going on{at}, {counted(tally.done_before, 'evaluation')} done")

    def follow(self, plan: Plan, curves: Sequence[LiveCurve]) -> None:
        """Nothing: lines stay."""

    def observe(self, plan: Plan, state: DriverState, facts: Sequence[Event]) -> None:
        """A line per evaluation that ended or will be tried again, and one per generation that is done."""
        tally = self._tallies.by_name.get(plan.name)
        if tally is None:
            return
        before = tally.state.progress
        tally.see(state, facts, self._tallies.clock())
        turned = state.progress.generation > before.generation
        snapshot, prefix = _snapshot(self._tallies, tally), _prefix(self._tallies, tally)
        for fact in facts:
            if text := _told(fact):
                self._say(f"{prefix}{text}" if turned else f"{prefix}{text}  | {snapshot}")
        if turned:
            figures = _figures(_last_fitness(tally.plan, state, before)) or tally.lowest
            self._say(f"{prefix}generation {before.generation} is done{figures}  | {snapshot}")


class Display:
    """A panel that is redrawn in place; failures and notes scroll by above it."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._tallies = Tallies(clock)
        self._live = Live(console=console, get_renderable=self._draw, refresh_per_second=4, transient=True)
        self._live.start()

    def close(self) -> None:
        """Give the terminal back, unless it was closed."""
        with suppress(OSError):
            self._live.stop()

    def note(self, text: str) -> None:
        """Above the panel; a search does not end because nobody reads any more."""
        with suppress(OSError):
            self._console.print(printable(text), markup=False)

    def wait(self, text: str) -> None:
        """In the panel, until the first training."""
        self._tallies.wait(text)

    def begin(self, plan: Plan, state: DriverState) -> None:
        """Show the search from here on."""
        self._tallies.begin(plan, state)

    def follow(self, plan: Plan, curves: Sequence[LiveCurve]) -> None:
        """Redraw soon."""
        self._tallies.follow(plan, curves)

    def observe(self, plan: Plan, state: DriverState, facts: Sequence[Event]) -> None:
        """Redraw soon; a failed attempt is reported above the panel."""
        tally = self._tallies.by_name.get(plan.name)
        if tally is None:
            return
        tally.see(state, facts, self._tallies.clock())
        for fact in facts:
            if isinstance(fact, Failed | TestReadingFailed) and (text := _told(fact)):
                line = printable(f"{_prefix(self._tallies, tally)}{text}")
                with suppress(OSError):
                    self._console.print(line, style="yellow", markup=False)

    def _draw(self) -> RenderableType:
        return panel(self._tallies)


def _told(fact: Event) -> str | None:
    match fact:
        case Finished(number, _, worker, success, measure=measure):
            return f"#{number}{_at(fact)} {_result(success, measure)} in {success.seconds:.1f} s on {worker}"
        case Recalled(number, source):
            return f"#{number}{_at(fact)} as #{source}, an equal network"
        case TestRead(trial=TrialId(number)):
            return f"#{number} has read the test split"
        case TestReadingFailed(_, trial, attempt, worker, failure, final):
            after = "the search stops" if final else "will be tried again"
            return (
                f"#{trial.number} could not read the test split on {worker}, attempt {attempt}: {failure.kind}: "
                f"{failure.message}; {after}"
            )
        case Failed(number, attempt, worker, failure, final):
            after = "worst fitness" if final else "will be tried again"
            told = f"attempt {attempt}: {failure.kind}: {failure.message}; {after}"
            return f"#{number}{_at(fact)} failed on {worker}, {told}"
        case SearchCreated() | DriverStarted() | Extended() | Interrupted() | Stopped() | Completed():
            return None
        case ProcessorSeen() | Born() | GenerationStarted() | VerdictReached() | Dispatched() | Reopened():
            return None
        case PrecisionResolved() | TestReadingBegun() | TestRead():
            return None
    assert_never(fact)


def _at(fact: Finished | Recalled | Failed) -> str:
    """To which rung a trial went, in words; nothing where it went to its end."""
    return "" if fact.until is None else f" to epoch {fact.until}"


def _result(success: Measured, measure: Measure) -> str:
    match success:
        case Success():
            fitness = success.by(measure)
            return "unjudged" if fitness is None else f"{fitness:.4f}"
        case Losses(losses):
            known = [loss for loss in losses if isfinite(loss)]
            lowest = f"lowest loss {min(known):.4f}" if known else "no loss that is a number"
            return f"{counted(len(losses), 'mask')}, {lowest}"
        case Features(digest, units):
            return f"features of {counted(units, 'unit')} kept, sha256 {digest[:12]}..."
    assert_never(success)


def _last_fitness(plan: Plan, state: DriverState, before: SearchProgress) -> list[float]:
    """Of the members of a generation that has just ended: every success is remembered, of those too that died out."""
    known = (state.remembered.get(plan.key(Trial.of(member))) for member in before.members)
    scores = (score_of(found[1], plan.measure) for found in known if found)
    return [score.fitness for score in scores if score.fitness is not None]


def _prefix(tallies: Tallies, tally: Tally) -> str:
    return f"{tally.short_name} " if tallies.several else ""


def _snapshot(tallies: Tallies, tally: Tally) -> str:
    done, size = tally.done_here
    at = "list" if tally.is_list else f"generation {tally.state.progress.generation}{tally.rung}"
    here = f"{at}: {done} of {size}{_figures(tally.fitness) or tally.lowest}"
    if tallies.several:  # what runs is known only once all members of a step were reported
        return f"{here} | {tallies.done} of {tallies.total} in all, {tallies.left}"
    return f"{here} | {tallies.done} of {tallies.total}, {tallies.running} running, {tallies.left}"


def _figures(fitness: Sequence[float]) -> str:
    return f", best {max(fitness):.4f}, mean {fmean(fitness):.4f}" if fitness else ""
