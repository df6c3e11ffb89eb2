"""How a search gets on, on standard error: a live display on a terminal, plain lines everywhere else."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from evosearch.cli.output import tell
from evosearch.reports import duration, seconds_left
from evosearch.runtime import DriverState, Plan, Watcher
from evosearch.storage import Event, Failed, Finished, Recalled


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


@dataclass
class Tally:
    """What both kinds of display show, kept up to date with the driver's state."""

    plan: Plan
    state: DriverState
    clock: Callable[[], float]

    def __post_init__(self) -> None:
        self.begun, self.done_before = self.clock(), self.done

    @property
    def done(self) -> int:
        """Evaluations that have ended, in all generations: every candidate born so far but the open ones.

        A generation that is not journaled yet, as after an extension, has members that are not born.
        """
        search, is_open = self.state.search, self.state.open
        numbers = [member.number for member in search.members]
        unborn = (number for number in numbers if number not in search.scores and number not in is_open)
        return min(unborn, default=max(numbers) + 1) - len(is_open)

    @property
    def done_here(self) -> tuple[int, int]:
        """Members of this generation that are evaluated, and how many there are."""
        members = self.state.search.members
        return sum(m.number in self.state.search.scores for m in members), len(members)

    @property
    def fitness(self) -> list[float]:
        """Fitness of this generation's members so far."""
        scores = (self.state.search.scores.get(member.number) for member in self.state.search.members)
        return [score.fitness for score in scores if score is not None and score.fitness is not None]

    @property
    def left(self) -> str:
        """When the search will end, in words."""
        since, total = self.done - self.done_before, self.plan.strategy.evaluations - self.done_before
        seconds = seconds_left(since, total, self.clock() - self.begun)
        return "time left unknown" if seconds is None else f"{duration(seconds)} left"


class Lines:
    """One line per finished evaluation: for job logs, files and pipes."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._tally: Tally | None = None

    def note(self, text: str) -> None:
        """As it is."""
        self._write(text)

    def begin(self, plan: Plan, state: DriverState) -> None:
        """Remember what to count from; say so where the search goes on."""
        self._tally = Tally(plan, state, self._clock)
        if self._tally.done_before:
            self._write(
                f"{plan.name}: going on at generation {state.search.generation}, {self._tally.done} evaluations done"
            )

    def observe(self, state: DriverState, facts: Sequence[Event]) -> None:
        """A line per evaluation that ended or will be tried again, and one per generation that is done."""
        if self._tally is None:
            return
        before, self._tally.state = self._tally.state.search, state
        turned = state.search.generation > before.generation
        for fact in facts:
            if text := _told(fact):
                self._write(text if turned else f"{text}  | {_standing(self._tally)}")
        if turned:
            known = state.remembered  # holds every success, those of members that have just died out too
            fitness = [known[m.chromosome][1] for m in before.members if m.chromosome in known]
            self._write(
                f"generation {before.generation} is done{_figures(fitness)}  | {_standing(self._tally)}"
            )


class Display:
    """A panel that is redrawn in place; failures and notes scroll by above it."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._tally: Tally | None = None
        self._history: list[float] = []
        self._live = Live(console=console, get_renderable=self._draw, refresh_per_second=4, transient=True)
        self._live.start()

    def close(self) -> None:
        """Give the terminal back."""
        self._live.stop()

    def note(self, text: str) -> None:
        """Above the panel."""
        self._console.print(text, markup=False)

    def begin(self, plan: Plan, state: DriverState) -> None:
        """Show the panel from here on."""
        self._tally = Tally(plan, state, self._clock)

    def observe(self, state: DriverState, facts: Sequence[Event]) -> None:
        """Redraw soon; a failed attempt is told above the panel."""
        if self._tally is None:
            return
        if state.search.generation > self._tally.state.search.generation and state.search.best:
            self._history.append(state.search.best[1])
        self._tally.state = state
        for fact in facts:
            if isinstance(fact, Failed) and (text := _told(fact)):
                self._console.print(text, style="yellow", markup=False)

    def _draw(self) -> RenderableType:
        if self._tally is None:
            return Text("preparing data and workers ...", style="dim")
        tally, state = self._tally, self._tally.state
        total = tally.plan.strategy.evaluations
        done, size = tally.done_here
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim")
        table.add_column()
        table.add_row("search", Text(tally.plan.name, style="bold"))
        table.add_row("generation", f"{state.search.generation}, {done} of {size} evaluated")
        table.add_row("evaluations", ProgressBar(total, tally.done, width=40))
        table.add_row("", f"{tally.done} of {total} done, {len(state.running)} running, {tally.left}")
        if fitness := tally.fitness:
            table.add_row("fitness", f"best {max(fitness):.4f}   mean {fmean(fitness):.4f}")
        if self._history:
            table.add_row("best so far", "  ".join(f"{value:.3f}" for value in self._history[-12:]))
        if best := state.search.best_with_members():
            table.add_row("chromosome", Text(str(best[0].chromosome), style="cyan"))
        for worker, number in sorted(state.running.items()):
            chromosome = state.open[number].chromosome
            table.add_row(
                worker, Text(f"{number}: {chromosome}", style="dim", overflow="ellipsis", no_wrap=True)
            )
        return Group(table)


def _told(fact: Event) -> str | None:
    match fact:
        case Finished(number, _, worker, success):
            return f"#{number} {success.fitness:.4f} in {success.seconds:.1f} s on {worker}"
        case Recalled(number, source):
            return f"#{number} as #{source}, an equal chromosome"
        case Failed(number, attempt, worker, failure, final):
            after = "worst fitness" if final else "will be tried again"
            return (
                f"#{number} failed on {worker}, attempt {attempt}: {failure.kind}: {failure.message}; {after}"
            )
        case _:
            return None


def _standing(tally: Tally) -> str:
    done, size = tally.done_here
    return (
        f"generation {tally.state.search.generation}: {done} of {size}{_figures(tally.fitness)}"
        f" | {tally.done} of {tally.plan.strategy.evaluations}, {len(tally.state.running)} running, {tally.left}"
    )


def _figures(fitness: Sequence[float]) -> str:
    return f", best {max(fitness):.4f}, mean {fmean(fitness):.4f}" if fitness else ""
