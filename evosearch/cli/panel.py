"""The panel that a terminal shows: of one search in full, of several a row each."""

from collections.abc import Iterable
from statistics import fmean

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from evosearch.cli.tally import Tallies, Tally
from evosearch.evaluation import TrialId
from evosearch.printable import printable
from evosearch.reports import MEASURES, cells, in_short


def panel(tallies: Tallies) -> RenderableType:
    """What is known now."""
    if not tallies.by_name or (tallies.waits and not tallies.has_begun):
        return Text(printable(tallies.waiting), style="dim")
    if tallies.several:
        return Group(_group(tallies), Text(), _members(tallies.by_name.values()), Text(), _workers(tallies))
    (tally,) = tallies.by_name.values()
    return _search(tallies, tally)


def _search(tallies: Tallies, tally: Tally) -> Table:
    state = tally.state
    table = _labelled()
    done, size = tally.done_here
    table.add_row("search", Text(printable(tally.plan.name), style="bold"))
    if tally.is_list:
        table.add_row("networks", f"{done} of {size} trained")
    else:
        table.add_row("generation", f"{state.progress.generation}{tally.rung}, {done} of {size} evaluated")
    _add_evaluations(table, tallies)
    if fitness := tally.fitness:
        by = "" if (measure := tally.plan.measure) == "accuracy" else f"   ({MEASURES[measure]})"
        table.add_row("fitness", f"best {max(fitness):.4f}   mean {fmean(fitness):.4f}{by}")
    elif tally.lowest:
        table.add_row("lowest", tally.lowest.removeprefix(", lowest "))
    if tally.history:
        table.add_row("best so far", "  ".join(f"{value:.3f}" for value in tally.history[-12:]))
    if best := state.progress.best:
        table.add_row("chromosome", Text(in_short(best[0].subject), style="cyan"))
    for worker, trial in sorted(state.running.items()):
        table.add_row(*cells(worker), _dim(_task(tallies, tally, trial)))
    return table


def _group(tallies: Tallies) -> Table:
    table = _labelled()
    name = next(iter(tallies.by_name)).rpartition("/")[0]
    table.add_row("group", Text(printable(name), style="bold"))
    _add_evaluations(table, tallies)
    return table


def _members(members: Iterable[Tally]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    for heading in ("search", "generation", "done", "best"):
        table.add_column(heading, no_wrap=True)
    table.add_column("chromosome", no_wrap=True, ratio=1, style="cyan")  # long ones are cut, nothing else is
    for tally in members:
        done, size = tally.done_here
        best = tally.state.progress.best
        table.add_row(
            *cells(tally.short_name),
            "" if tally.is_list else f"{tally.state.progress.generation}{tally.rung}, {done} of {size}",
            f"{tally.done} of {tally.total}",
            f"{best[1]:.4f}" if best else "",
            Text(tally.state.progress.note or in_short(best[0].subject)) if best else "",
        )
    return table


def _workers(tallies: Tallies) -> Table:
    table = _labelled()
    running = [
        (worker, f"{tally.short_name} {_task(tallies, tally, trial)}")
        for tally in tallies.by_name.values()
        for worker, trial in tally.state.running.items()
    ]
    for worker, task in sorted(running):
        table.add_row(*cells(worker), _dim(task))
    return table


def _task(tallies: Tallies, tally: Tally, trial: TrialId) -> str:
    if (unread := tally.state.unread.get(trial)) is not None:
        return f"{trial}: reads the test split  {unread.trial.subject}"
    told = tallies.told(tally.plan.name, trial)
    return f"{trial}: {told}{'  ' if told else ''}{in_short(tally.state.open[trial].trial.subject)}"


def _add_evaluations(table: Table, tallies: Tallies) -> None:
    done, total = tallies.done, tallies.total
    table.add_row("evaluations", ProgressBar(total, done, width=40))
    table.add_row("", f"{done} of {total} done, {tallies.running} running")
    table.add_row("time", f"{tallies.elapsed} elapsed, {tallies.left}")


def _labelled() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    return table


def _dim(text: str) -> Text:
    return Text(printable(text), style="dim", overflow="ellipsis", no_wrap=True)
