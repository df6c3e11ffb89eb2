"""What a search tells while it runs: the plain lines, and the panel on a terminal."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from evosearch.blueprint import size_of
from evosearch.cli.panel import panel
from evosearch.cli.progress import Display, Lines, show_progress
from evosearch.cli.tally import Tallies
from evosearch.errors import InterruptedSearchError
from evosearch.evaluation import EpochRecord, FailureKind, Success, TrialId
from evosearch.genome import SearchSpace
from evosearch.runtime import Fleet, Member, Surroundings, drive, evolve, replay
from evosearch.search import EavlSettings, Halving
from evosearch.storage import (
    Born,
    Dispatched,
    DriverStarted,
    Extended,
    Finished,
    LiveCurve,
    TestReadingBegun,
)
from evosearch.testing import FormulaEvaluator, Script, ScriptedPool
from tests.runtime.small_search import Drive, MemoryLogbook, make_plan
from tests.studies.final_plan import final_plan

SETTINGS = EavlSettings(population=4, generations=2, elites=1, immigrants=1)
TOTAL = 4 + 3
LONG = SearchSpace(convolutions=(9, 12), channels=(4, 8), poolings=(0, 2), dense=(1, 2), units=(4, 8))


@dataclass
class Clock:
    """Two seconds pass with each evaluation."""

    now: float = 0.0
    takes: Callable[[Any], float] = lambda _: 2.0

    def __call__(self) -> float:
        return self.now

    def handle(self, task, *_):
        seconds = self.takes(task)
        self.now += seconds
        return replace(FormulaEvaluator().handle(task), seconds=seconds)


@dataclass
class Watched:
    """Small searches that a watcher sees from their beginning, or from where they were left."""

    clock: Clock = field(default_factory=Clock)
    logbooks: dict[str, MemoryLogbook] = field(default_factory=dict)

    def __call__(
        self,
        watcher,
        *,
        script=None,
        settings=SETTINGS,
        names=("small",),
        stop: Callable[[], str | None] = lambda: None,
        make_pool=ScriptedPool,
    ):
        plans = [replace(make_plan(settings, seed=seed), name=name) for seed, name in enumerate(names)]
        fleet = Fleet.of(*(Member(plan, self.replayed(plan)) for plan in plans))
        pool = make_pool(self.clock, script)
        pool.start()
        for member in fleet.members.values():
            watcher.begin(member.plan, member.state)
        ended = drive(fleet, Surroundings(pool, self.logbooks, self.clock, stop, watcher))
        return [ended.members[name].state for name in names]

    def replayed(self, plan):
        logbook = self.logbooks.setdefault(plan.name, MemoryLogbook())
        logbook.append([DriverStarted("host", 1, "local", {})])
        return replay(plan, logbook.facts)

    def until(self, evaluations: int) -> Callable[[], str | None]:
        """A stop as soon as so many evaluations are over, while the next ones run."""
        return lambda: "SIGTERM" if self.clock.now >= 2 * evaluations else None


@pytest.fixture
def watched():
    return Watched()


class Told(Lines):
    """Lines into a list."""

    def __init__(self, clock):
        self.lines: list[str] = []
        self.times: list[float] = []
        super().__init__(self.add, clock, lambda: "23:59:59")

    def add(self, line):
        stamp, _, text = line.partition(" ")
        assert stamp == "23:59:59"
        self.lines.append(text)
        self.times.append(self._tallies.clock())


# Lines


def test_every_evaluation_is_a_line_with_fitness_worker_standing_and_estimated_end(watched):
    told = Told(watched.clock)
    watched(told)
    assert len([line for line in told.lines if line.startswith("#")]) == TOTAL
    first, last = told.lines[0], told.lines[-1]
    assert re.fullmatch(
        r"#\d 0\.\d{4} in 2\.0 s on scripted-1  \| generation 0: 1 of 4, best (0\.\d{4}), mean \1"
        r" \| 1 of 7, 1 running, about \d+ s left",
        first,
    )
    assert re.search(
        r"\| generation 1: 4 of 4, best 0\.\d{4}, mean 0\.\d{4} \| 7 of 7, 0 running, 0 s left$", last
    )


def test_best_and_mean_are_those_of_the_generation(watched):
    told = Told(watched.clock)
    (state,) = watched(told)
    fitness = [state.search.scores[member.number].fitness for member in state.search.members]
    assert f"best {max(fitness):.4f}, mean {sum(fitness) / len(fitness):.4f} |" in told.lines[-1]


def estimates(told):
    """What was said to be left and when, in seconds: (when, left, whether it was said to be rough)."""
    found = []
    for at, line in zip(told.times, told.lines, strict=True):
        if match := re.search(r", (about )?(?:(\d+) h )?(?:(\d+) min )?(?:(\d+) s )?left$", line):
            hours, minutes, seconds = (int(part or 0) for part in match.groups()[1:])
            found.append((at, 3600 * hours + 60 * minutes + seconds, match[1] is not None))
    return found


def by_size(task):
    """Seconds of a training: half of one, and the larger the network the more."""
    problem = make_plan(SETTINGS).problem
    return 0.5 + size_of(task.network, problem, 0.0).flops / 1e4


def test_the_time_left_comes_near_what_it_came_to_from_the_first_result_on(watched):
    """Although the first wait for their worker, and the longest go first."""
    watched.clock.takes = by_size
    told = Told(watched.clock)
    told.wait("starting workers: 0 of 1 ready")
    settings = EavlSettings(population=20, generations=4, elites=4, immigrants=4)
    delayed = Delayed(30.0, watched.clock)
    watched(told, settings=settings, make_pool=delayed)
    end = watched.clock.now
    rough = [left / (end - at) for at, left, is_rough in estimates(told) if is_rough and at < end]
    sure = [left / (end - at) for at, left, is_rough in estimates(told) if not is_rough and at < end - 9]
    assert len(rough) > 5
    assert len(sure) > 20
    assert 0.4 < min(rough) <= max(rough) < 2.5
    assert 0.6 < min(sure) <= max(sure) < 1.6


@dataclass
class Delayed:
    """Makes pools whose workers take `seconds` to start."""

    seconds: float
    clock: Clock

    def __call__(self, evaluator, script):
        class DelayedPool(ScriptedPool):
            def poll(pool, timeout):  # noqa: N805 - `self` is the one around
                if not pool.submitted and not pool.alive_before:
                    self.clock.now += self.seconds
                pool.alive_before = True
                return super().poll(timeout)

            alive_before = False

        return DelayedPool(evaluator, script)


def test_what_is_waited_for_is_told_with_the_time(watched):
    told = Told(watched.clock)
    told.wait("reading the data")
    told.wait("starting workers: 0 of 2 ready")
    assert told.lines == ["reading the data", "starting workers: 0 of 2 ready"]


def test_how_far_the_first_trainings_are_tells_what_is_left_before_any_of_them_ends(watched):
    tallies = Tallies(watched.clock)
    plan = make_plan(SETTINGS)
    state = replay(plan, ())
    for trial in plan.strategy.ask(state.search):
        state = evolve(plan, state, Born.of(trial, None, None))
    tally = tallies.begin(plan, state)
    state = evolve(plan, state, Dispatched(0, 1, "w"))
    tally.see(state, [], watched.clock())
    assert tallies.left == "time left unknown"
    watched.clock.now = 10.0
    tallies.follow(plan, [LiveCurve(TrialId(0), 10, (EpochRecord(0.5, 0.5),))])
    first = re.fullmatch(r"about (\d+) min (\d+) s left", tallies.left)
    assert 5 * 60 < int(first[1]) * 60 + int(first[2]) < 20 * 60  # seven trainings, of which one takes 100 s
    tallies.follow(plan, [LiveCurve(TrialId(0), 10, (EpochRecord(0.5, 0.5),) * 10)])
    assert re.fullmatch(r"about (1 min )?\d+ s left", tallies.left)


def test_a_generation_that_is_done_is_summed_up_before_the_next_one(watched):
    told = Told(watched.clock)
    watched(told)
    (turn,) = [line for line in told.lines if line.startswith("generation 0 is done")]
    finished = {f.number: f.success.fitness for f in watched.logbooks["small"].of(Finished)}
    first = [finished[number] for number in range(4)]
    assert turn.startswith(
        f"generation 0 is done, best {max(first):.4f}, mean {sum(first) / 4:.4f}  | generation 1: "
    )


def test_with_rungs_lines_say_to_which_epoch_and_the_best_is_of_whole_trainings_alone(watched):
    halved = replace(SETTINGS, halving=Halving((1, 2), 0.5))
    told = Told(watched.clock)
    watched(told, settings=halved)
    first = [line for line in told.lines if re.match(r"#\d to epoch 1 ", line)]
    assert len(first) == 4 + 3
    assert "| generation 0 to epoch 1: 1 of 4 | 1 of 11, 1 running" in first[0]
    last = next(line for line in told.lines if re.match(r"#\d 0", line))
    assert re.search(r"\| generation 0: 1 of 2, best 0\.\d{4}, mean 0\.\d{4} \|", last)


def test_a_failed_attempt_says_why_and_what_follows_and_time_is_unknown_before_the_first_end(watched):
    told = Told(watched.clock)
    losses = {(number, 1): FailureKind.WORKER_LOST for number in range(4)}
    watched(told, script=Script(losses=losses))
    assert re.fullmatch(
        r"#\d failed on scripted-1, attempt 1: worker_lost: lost by the script; will be tried again"
        r"  \| generation 0: 0 of 4 \| 0 of 7, 1 running, time left unknown",
        told.lines[0],
    )
    assert sum(" failed on " in line for line in told.lines) == 4


def test_a_failure_for_good_is_worst_fitness_and_counts_as_done(watched):
    told = Told(watched.clock)
    watched(told, script=Script(losses={(number, 1): FailureKind.DIVERGED for number in range(3)}))
    failed = [line for line in told.lines if " failed on " in line]
    assert all("diverged: lost by the script; worst fitness" in line for line in failed)
    assert "| 1 of 7, " in told.lines[0]


def test_an_equal_chromosome_is_told_with_the_one_that_was_trained(watched):
    told = Told(watched.clock)
    watched(
        told,
        settings=EavlSettings(population=8, generations=6, elites=2, immigrants=0, crossover_probability=0),
    )
    recalled = [line for line in told.lines if re.match(r"#\d+ as #\d+, an equal network  \| ", line)]
    assert recalled


def test_going_on_says_from_where_and_estimates_by_what_is_done_since(watched):
    with pytest.raises(InterruptedSearchError):
        watched(Told(watched.clock), stop=watched.until(3))
    told = Told(watched.clock)
    watched(told)
    assert told.lines[0] == "small: going on at generation 0, 3 evaluations done"
    assert told.lines[2].endswith("| 4 of 7, 1 running, about 6 s left")


def test_one_evaluation_is_one(watched):
    with pytest.raises(InterruptedSearchError):
        watched(Told(watched.clock), stop=watched.until(1))
    told = Told(watched.clock)
    watched(told)
    assert told.lines[0] == "small: going on at generation 0, 1 evaluation done"


def test_an_extended_search_counts_from_what_is_done(watched):
    watched(Told(watched.clock))
    watched.logbooks["small"].append([Extended(3)])
    told = Told(watched.clock)
    watched(told, settings=EavlSettings(population=4, generations=3, elites=1, immigrants=1))
    assert told.lines[0] == "small: going on at generation 2, 7 evaluations done"
    assert re.search(r"\| 8 of 10, \d running, about 4 s left$", told.lines[1])
    assert " 10 of 10, 0 running, 0 s left" in told.lines[-1]


def test_a_new_search_says_nothing_before_its_first_evaluation(watched):
    told = Told(watched.clock)
    with pytest.raises(InterruptedSearchError):
        watched(told, stop=lambda: "SIGTERM")
    assert told.lines == []


def test_a_note_is_told_as_it_is_and_facts_before_the_begin_are_not(watched):
    told = Told(watched.clock)
    told.note("data: 3 files are ignored")
    plan = make_plan(SETTINGS)
    told.observe(plan, replay(plan, ()), [Extended(3)])
    assert told.lines == ["data: 3 files are ignored"]


# Lines of a group

GROUP = ("pets/seed-3", "pets/seed-10")


def test_in_a_group_every_line_begins_with_the_member_and_ends_with_the_standing_of_all(watched):
    told = Told(watched.clock)
    watched(told, names=GROUP)
    assert {line.split()[0] for line in told.lines} == {"seed-3", "seed-10"}
    assert re.fullmatch(
        r"seed-(3|10) #\d 0\.\d{4} in 2\.0 s on scripted-1  \| generation 0: 1 of 4, best (0\.\d{4}), mean \2"
        r" \| 1 of 14 in all, about \d+ s left",
        told.lines[0],
    )
    assert told.lines[-1].endswith("| 14 of 14 in all, 0 s left")
    for name in ("seed-3", "seed-10"):
        assert sum(line.startswith(f"{name} #") for line in told.lines) == TOTAL
        assert sum(line.startswith(f"{name} generation 0 is done, best ") for line in told.lines) == 1


def test_in_a_group_best_and_mean_are_those_of_the_member(watched):
    told = Told(watched.clock)
    for name, state in zip(GROUP, watched(told, names=GROUP), strict=True):
        fitness = [state.search.scores[member.number].fitness for member in state.search.members]
        ends = [line for line in told.lines if line.startswith(f"{name.partition('/')[2]} ")]
        assert f"best {max(fitness):.4f}, mean {sum(fitness) / len(fitness):.4f} |" in ends[-1]


def test_a_group_that_goes_on_says_from_where_for_each_member_that_had_begun(watched):
    with pytest.raises(InterruptedSearchError):
        watched(Told(watched.clock), names=GROUP[:1], stop=watched.until(3))
    told = Told(watched.clock)
    watched(told, names=GROUP)
    assert told.lines[0] == "pets/seed-3: going on at generation 0, 3 evaluations done"
    assert "| 4 of 14 in all, about 20 s left" in told.lines[1]


# The display


@pytest.fixture
def terminal():
    return Console(
        file=StringIO(), force_terminal=True, width=100, height=40, color_system=None, legacy_windows=False
    )


def shown(terminal) -> list[str]:
    """The panel as it was last drawn, and what scrolled by above it."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.file.getvalue()).replace("\r", "\n")
    return [line.rstrip() for line in plain.splitlines() if line.strip()]


def last(lines: list[str], heading: str) -> str:
    return next(line for line in reversed(lines) if line.startswith(heading))


def test_the_display_begins_with_what_it_waits_for(terminal):
    clock = Clock()
    display = Display(terminal, clock)
    display.wait("reading the data")
    display.note("data: 3 files are ignored")
    display.wait("starting workers: 0 of 2 ready")
    plan = make_plan(SETTINGS)
    display.begin(plan, replay(plan, ()))
    clock.now = 12.0
    display.close()
    lines = shown(terminal)
    assert "data: 3 files are ignored" in lines
    assert lines[-1] == "starting workers: 0 of 2 ready, 12 s"


def test_the_display_shows_generation_counts_workers_and_the_estimated_end(terminal, watched):
    display = Display(terminal, watched.clock)
    with pytest.raises(InterruptedSearchError):
        watched(display, stop=watched.until(5))
    display.close()
    lines = shown(terminal)
    assert last(lines, "search").split() == ["search", "small"]
    assert last(lines, "generation") == "generation   1, 2 of 4 evaluated"
    assert last(lines, "             5") == "             5 of 7 done, 1 running"
    assert last(lines, "time") == "time         10 s elapsed, about 4 s left"
    assert re.fullmatch(r"fitness      best 0\.\d{4}   mean 0\.\d{4}", last(lines, "fitness"))
    assert re.fullmatch(r"best so far  0\.\d{3}", last(lines, "best so far"))
    assert re.fullmatch(r"scripted-1   \d: [BCP]\S* .*\| .*", last(lines, "scripted-1"))


def test_the_display_shows_how_each_training_gets_on_while_it_runs(terminal, watched):
    display = Display(terminal, watched.clock)
    with pytest.raises(InterruptedSearchError):
        watched(display, stop=watched.until(5))
    (trial,) = display._tallies.by_name["small"].state.running.values()
    others = TrialId(99), TrialId(trial.number, 3)
    curve = EpochRecord(0.9, 0.25), EpochRecord(0.5, 0.75)
    display.follow(make_plan(), [LiveCurve(one, 9, curve[:1]) for one in others])
    display.follow(make_plan(), [LiveCurve(trial, 9, curve)])
    display.close()
    told = last(shown(terminal), "scripted-1")
    assert re.match(rf"scripted-1   {trial}: epoch 2 of 9, loss 0.5000, accuracy 0.7500  [BCP]", told)


def test_the_display_shows_the_best_chromosome_of_all_generations(terminal, watched):
    display = Display(terminal, watched.clock)
    (state,) = watched(display)
    display.close()
    best, fitness = state.search.best_with_members()
    lines = shown(terminal)
    assert last(lines, "chromosome") == f"chromosome   {best.chromosome}"
    assert f"best {fitness:.4f}" in last(lines, "fitness")
    assert "7 of 7 done, 0 running" in last(lines, "             7")


@pytest.mark.parametrize(("fitness", "told"), [("accuracy", ""), ("f1", "   (F1)")])
def test_the_display_names_another_fitness_than_the_accuracy(fitness, told):
    plan, tallies = replace(make_plan(SETTINGS), measure=fitness), Tallies()
    state = replay(plan, ())
    for trial in plan.strategy.ask(state.search):
        state = evolve(plan, state, Born.of(trial, None, None))
    state = evolve(plan, state, Dispatched(0, 1, "w"))
    tallies.begin(plan, evolve(plan, state, Finished(0, 1, "w", Success(0.5, 1.0), measure=fitness)))
    console = Console(file=StringIO(), width=80)
    console.print(panel(tallies))
    assert f"fitness      best 0.5000   mean 0.5000{told}\n" in re.sub(r" +\n", "\n", console.file.getvalue())


def test_failures_scroll_by_above_the_display(terminal, watched):
    display = Display(terminal, watched.clock)
    watched(display, script=Script(losses={(1, 1): FailureKind.CRASHED}))
    display.close()
    told = [line for line in shown(terminal) if line.startswith("#")]
    assert len(told) == 1
    assert told[0].startswith("#1 failed on scripted-")
    assert "crashed: lost by the script; will be" in told[0]


# The display of a group


def test_of_a_group_the_display_shows_a_row_a_member_and_the_workers_of_all(terminal, watched):
    display = Display(terminal, watched.clock)
    with pytest.raises(InterruptedSearchError):
        watched(display, names=GROUP, script=Script(workers=3), stop=watched.until(5))
    display.close()
    lines = shown(terminal)
    assert last(lines, "group").split() == ["group", "pets"]
    assert last(lines, "             5") == "             5 of 14 done, 3 running"
    assert re.fullmatch(r"time         10 s elapsed, about \d+ s left", last(lines, "time"))
    assert last(lines, "search ").split() == ["search", "generation", "done", "best", "chromosome"]
    rows = [last(lines, name) for name in ("seed-3 ", "seed-10 ")]
    found = [re.fullmatch(r"seed-\d+ +0, (\d) of 4 +\1 of 7 +0\.\d{4} +[BCP]\S* .*", row) for row in rows]
    assert sum(int(row[1]) for row in found) == 5
    tasks = [last(lines, f"scripted-{number} ") for number in (1, 2, 3)]
    assert all(re.fullmatch(r"scripted-\d +seed-(3|10) \d: [BCP]\S* .*\| .*", task) for task in tasks)


def test_of_a_group_the_display_shows_the_best_of_each_member(terminal, watched):
    display = Display(terminal, watched.clock)
    states = watched(display, names=GROUP)
    display.close()
    lines = shown(terminal)
    for name, state in zip(GROUP, states, strict=True):
        best, fitness = state.search.best_with_members()
        row = last(lines, f"{name.partition('/')[2]} ")
        assert row.split()[5:9] == ["7", "of", "7", f"{fitness:.4f}"]
        assert row.endswith(f"  {best.chromosome}")


def test_of_a_group_a_failure_is_told_with_its_member(terminal, watched):
    display = Display(terminal, watched.clock)
    watched(display, names=GROUP, script=Script(losses={(1, 1): FailureKind.DIVERGED}))
    display.close()
    told = [line.split(" failed on ")[0] for line in shown(terminal) if " failed on " in line]
    assert sorted(told) == ["seed-10 #1", "seed-3 #1"]


def test_a_group_of_many_members_and_workers_keeps_to_one_line_each(watched):
    narrow = Console(file=StringIO(), width=60, emoji=False)
    tallies = Tallies(watched.clock)
    settings = EavlSettings(population=8, generations=2, elites=1, immigrants=1)
    for seed in range(20):
        plan = replace(make_plan(settings, LONG, seed), name=f"pets/seed-{seed}")
        state = replay(plan, ())
        for trial in plan.strategy.ask(state.search)[:2]:
            state = evolve(plan, state, Born.of(trial, None, None))
        for number, worker in enumerate((f"node-{seed:02}-gpu-0", "gone")):
            state = evolve(plan, state, Dispatched(number, 1, worker))
        tallies.begin(plan, evolve(plan, state, Finished(1, 1, "gone", Success(0.5, 1.0))))
    narrow.print(panel(tallies))
    lines = narrow.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 60
    assert sum(bool(re.match(r"seed-\d+ +0, 1 of 8 +1 of 15 +0\.5000 ", line)) for line in lines) == 20
    assert sum(line.startswith("node-") for line in lines) == 20
    assert len(lines) == 4 + 1 + 21 + 1 + 20  # so narrow, the counts take two lines


# The choice


class Terminal(StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "kind"), [(StringIO, Lines), (Terminal, Display)])
def test_a_terminal_gets_the_display_and_everything_else_lines(monkeypatch, stream, kind):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "stderr", stream())
    with show_progress() as watcher:
        assert type(watcher) is kind
        watcher.note("trainer.py:100: [bold]nothing[/bold] is changed in a text")
    assert "trainer.py:100: [bold]nothing[/bold] is changed in a text" in sys.stderr.getvalue()


def test_the_terminal_is_given_back_when_a_search_fails(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(ValueError, match="on purpose"), show_progress():
        raise ValueError("on purpose")
    text = sys.stderr.getvalue()
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is there again


# Readings of the test split


def retrained(watcher, script=None):
    plan = final_plan(1)
    watcher.begin(plan, replay(plan, ()))
    Drive(plan, FormulaEvaluator(classes=2), script or Script(), watcher=watcher)()


def test_a_line_tells_of_each_reading_and_never_what_it_gave():
    lines = []
    retrained(Lines(lines.append, stamp=lambda: "12:00:00"), Script(losses={(0, 2): FailureKind.CRASHED}))
    parts = (line.removeprefix("12:00:00 ").partition("  | ")[0] for line in lines)
    trained, failed, read = parts
    assert trained.startswith("#0 0.")
    assert failed == (
        "#0 could not read the test split on scripted-1, attempt 2: crashed: lost by the script; will be tried again"
    )
    assert read == "#0 has read the test split"


def test_the_panel_shows_who_reads_the_test_split():
    plan, tallies = final_plan(1), Tallies()
    drive = Drive(plan, FormulaEvaluator(classes=2))
    drive()
    facts = drive.logbook.facts
    at = next(n for n, fact in enumerate(facts) if isinstance(fact, TestReadingBegun))
    tallies.begin(plan, replay(plan, facts[: at + 1]))
    console = Console(file=StringIO(), width=100)
    console.print(panel(tallies))
    assert "0: reads the test split  C4 C5 P | F6" in console.file.getvalue()


def test_a_reading_that_a_resumed_retraining_begins_with_does_not_stretch_the_time_left():
    plan, clock = final_plan(1, 2), Clock()
    drive = Drive(plan, FormulaEvaluator(classes=2))
    drive()
    facts = [
        replace(fact, success=replace(fact.success, seconds=10.0)) if isinstance(fact, Finished) else fact
        for fact in drive.logbook.facts
    ]
    at = next(n for n, fact in enumerate(facts) if isinstance(fact, TestReadingBegun))
    tallies, state = Tallies(clock), replay(plan, facts[: at + 1])
    tally = tallies.begin(plan, state)
    assert tallies.left == "about 10 s left"
    clock.now = 30.0  # so long the reading takes
    for fact in facts[at + 1 :]:
        state = evolve(plan, state, fact)
        tally.see(state, [fact], clock.now)
        if isinstance(fact, Dispatched):
            break
    clock.now += 0.001
    assert tallies.left == "about 10 s left"


def test_a_list_is_told_without_a_generation():
    plan, tallies, lines = final_plan(1), Tallies(), []
    tallies.begin(plan, replay(plan, ()))
    console = Console(file=StringIO(), width=100)
    console.print(panel(tallies))
    shown = console.file.getvalue()
    assert "0 of 1 trained" in shown
    retrained(Lines(lines.append, stamp=lambda: "12:00:00"))
    assert "| list: 1 of 1, best 0." in lines[0]
    assert "generation" not in shown + "".join(lines)
