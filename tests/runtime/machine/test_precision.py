"""What `auto` means as `training.precision`: decided once, before anything is given out, and obeyed ever after."""

import itertools
from dataclasses import dataclass, field, replace

import pytest

from evosearch.errors import CannotRunError
from evosearch.evaluation import FailureKind, TrainingSettings
from evosearch.runtime import (
    Begun,
    Fleet,
    Member,
    Silence,
    Surroundings,
    TurnAway,
    Worker,
    WorkerJoined,
    drive,
    replay,
    step,
)
from evosearch.search import FixedListSettings, ListedTrial
from evosearch.storage import (
    Completed,
    Dispatched,
    Finished,
    Interrupted,
    PrecisionResolved,
    ProcessorSeen,
    Recalled,
)
from evosearch.testing import FormulaEvaluator, Script, ScriptedPool
from tests.runtime.small_search import Drive, MemoryLogbook, OneByOne, make_plan

OLD, NEW = ("fp32",), ("fp32", "tf32", "bf16")
"""What a GPU of compute capability 7 has instructions for, and one of 8."""


def plan_with(precision="auto", name="small", seed=0):
    plan = make_plan(name=name, seed=seed)
    return replace(
        plan, context=replace(plan.context, training=TrainingSettings(epochs=1, precision=precision))
    )


def list_of(*precisions):
    """A list that trains one network in each of these."""
    context = plan_with("fp32").context
    trials = tuple(
        ListedTrial("C8 P | F16", settings=TrainingSettings(epochs=1, precision=one)) for one in precisions
    )
    return replace(plan_with("fp32"), strategy=FixedListSettings(trials=trials).make(context))


@dataclass(frozen=True)
class Trained(FormulaEvaluator):
    """Remembers in which precisions it was asked to train."""

    precisions: set[str] = field(default_factory=set)

    def handle(self, task, *more):
        self.precisions.add(task.settings.precision)
        return super().handle(task, *more)


@dataclass
class Notes(Silence):
    lines: list[str] = field(default_factory=list)

    def note(self, text):
        self.lines.append(text)


def driven(plan, script, before=(), watcher=None):
    evaluator = Trained()
    drive = Drive(plan, evaluator, script, MemoryLogbook(), watcher=watcher or Notes())
    drive(before)
    return drive, evaluator.precisions


def decided(drive):
    return drive.logbook.of(PrecisionResolved)


@pytest.mark.parametrize(
    ("able", "precision"), [(NEW, "bf16"), (("fp32", "bf16"), "bf16"), (OLD, "fp32"), (None, "fp32")]
)
def test_auto_is_what_the_first_worker_can_do_and_is_journaled_before_the_first_dispatch(able, precision):
    drive, trained = driven(plan_with(), Script(2, processors=("a GPU",), precisions=(able,)))
    assert decided(drive) == [PrecisionResolved(precision, "a GPU", "scripted-1")]
    kinds = [type(fact) for fact in drive.logbook.facts]
    assert kinds.index(PrecisionResolved) < kinds.index(Dispatched)
    written = next(facts for facts in drive.logbook.transactions if decided(drive)[0] in facts)
    assert written.index(decided(drive)[0]) < [type(fact) for fact in written].index(Dispatched)
    assert trained == {precision}


@pytest.mark.parametrize(
    ("able", "told"), [(NEW, "bf16 from here on: a CPU has"), (OLD, "fp32 from here on: a CPU has no")]
)
def test_what_it_means_and_which_instructions_decide_is_told_once(able, told):
    notes = Notes()
    driven(plan_with(), Script(2, processors=("a CPU",), precisions=(able,)), watcher=notes)
    assert [line for line in notes.lines if "auto" in line] == [
        f"training.precision: auto means {told} instructions for bf16 (avx512_bf16 or AMX)"
    ]


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_where_nothing_says_auto_nothing_is_decided(precision):
    drive, trained = driven(plan_with(precision), Script(precisions=(NEW,)))
    assert not decided(drive)
    assert trained == {precision}


def test_a_resume_obeys_what_is_journaled_whatever_its_first_worker_could_do():
    whole, _ = driven(plan_with(), Script(precisions=(OLD,)))
    facts = [fact for fact in whole.logbook.facts if not isinstance(fact, Completed)]
    for events in (facts[: len(facts) // 2], facts[: facts.index(decided(whole)[0]) + 1]):
        again, trained = driven(plan_with(), Script(precisions=(NEW,)), events)
        assert decided(again) == decided(whole)
        assert trained == {"fp32"}
    before = facts[: facts.index(decided(whole)[0])]
    again, trained = driven(plan_with(), Script(precisions=(NEW,)), before)
    assert ([one.precision for one in decided(again)], trained) == (["bf16"], {"bf16"})


def test_how_many_workers_there_are_and_who_joins_second_changes_nothing():
    alone, _ = driven(plan_with(), Script(precisions=(NEW,)))
    many, trained = driven(plan_with(), Script(4, shuffle=1, precisions=(NEW, OLD)))
    assert trained == {"bf16"}
    assert many.logbook.facts[-1] == alone.logbook.facts[-1]
    keys = [replay(plan_with(), one.logbook.facts).remembered.keys() for one in (alone, many)]
    assert keys[0] == keys[1]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_key_of_what_is_decided_is_that_of_what_is_named(precision):
    able = NEW if precision == "bf16" else OLD
    auto, _ = driven(plan_with(), Script(precisions=(able,)))
    named, _ = driven(plan_with(precision), Script(precisions=(able,)))
    states = [replay(plan_with(), auto.logbook.facts), replay(plan_with(precision), named.logbook.facts)]
    assert states[0].remembered == states[1].remembered
    other, _ = driven(plan_with("tf32"), Script(precisions=(NEW,)))
    remembered = replay(plan_with("tf32"), other.logbook.facts).remembered
    assert remembered.keys().isdisjoint(states[0].remembered)


def test_open_trials_have_the_key_of_what_was_decided():
    fleet, _ = step(Fleet.of(Member(plan_with(), replay(plan_with(), ()))), Begun())
    before = {one.key for one in fleet.members["small"].state.open.values()}
    fleet, _ = step(fleet, WorkerJoined(Worker("a", "n/cuda:0", precisions=NEW)))
    after = {one.key for one in fleet.members["small"].state.open.values()}
    named, _ = step(Fleet.of(Member(plan_with("bf16"), replay(plan_with("bf16"), ()))), Begun())
    assert after == {one.key for one in named.members["small"].state.open.values()} != before


def test_of_a_list_what_is_named_and_what_was_decided_is_trained_once():
    drive, trained = driven(list_of("bf16", "auto", "fp32"), Script(precisions=(NEW,)))
    assert trained == {"bf16", "fp32"}
    assert [fact.number for fact in drive.logbook.of(Finished)] == [0, 2]
    assert [(fact.number, fact.source) for fact in drive.logbook.of(Recalled)] == [(1, 0)]


def group(plans, script, told=None, facts=None):
    """Drives a group; its logbooks, and the precisions that were trained in."""
    logbooks = {plan.name: MemoryLogbook() for plan in plans}
    evaluator = Trained()
    pool = ScriptedPool(evaluator, script)
    pool.start()
    world = Surroundings(pool, logbooks, lambda: 0.0, lambda: None, Silence())
    known = facts or {}
    members = (Member(plan, replay(plan, known.get(plan.name, ())), told=told) for plan in plans)
    drive(Fleet.of(*members), world)
    return logbooks, evaluator.precisions


PLANS = [plan_with(name=f"group/seed-{seed}", seed=seed) for seed in range(3)]


def test_a_group_decides_once_for_all_of_its_searches():
    logbooks, trained = group(PLANS, Script(2, processors=("a GPU", "another"), precisions=(NEW, OLD)))
    assert trained == {"bf16"}
    found = [one.of(PrecisionResolved) for one in logbooks.values()]
    assert [[fact.precision for fact in facts] for facts in found] == [["bf16"]] * 3
    assert {fact.processor for facts in found for fact in facts} == {"a GPU"}


def test_a_search_of_a_group_has_what_another_one_had_before_a_kill():
    known = {PLANS[1].name: [PrecisionResolved("fp32", "an old GPU", "w")]}
    logbooks, trained = group(PLANS, Script(precisions=(NEW,)), facts=known)
    assert trained == {"fp32"}
    expected = [PrecisionResolved("fp32", "an old GPU")]
    assert [one.of(PrecisionResolved) for one in logbooks.values()] == [expected, [], expected]


def test_a_search_has_what_one_beside_this_driver_has():
    told = PrecisionResolved("fp32", "an old GPU")
    logbooks, trained = group(PLANS[:1], Script(precisions=(NEW,)), told)
    assert trained == {"fp32"}
    assert logbooks[PLANS[0].name].of(PrecisionResolved) == [told]


# Who is turned away

BF16 = [PrecisionResolved("bf16", "a new GPU", "w")]


@pytest.mark.parametrize(
    ("plan", "before", "words"),
    [
        (plan_with(), BF16, "an old GPU has no instructions for bf16, which auto as training.precision means for 'small' "
         "since it began on a new GPU"),
        (plan_with("tf32"), [], "an old GPU has no tf32, which training.precision of 'small' names"),
        (list_of("fp32", "tf32"), [], "an old GPU has no tf32, which training.precision of 'small' names"),
    ],
)  # fmt: skip
def test_where_every_worker_is_turned_away_the_search_ends_with_one_line(plan, before, words):
    notes = Notes()
    script = Script(3, processors=("an old GPU",), precisions=(OLD,))
    with pytest.raises(CannotRunError, match=rf"^scripted-1 is turned away: {words}; [^\n]*fp32$"):
        driven(plan, script, before, notes)
    assert not [line for line in notes.lines if "turned away" in line], "said as the reason of the end"


def test_why_a_search_ended_without_workers_is_told_once_and_kept_in_its_journal():
    class Waits(Notes):
        waits = ()

        def wait(self, text):
            self.waits = (*self.waits, text)

    watcher, logbook = Waits(), MemoryLogbook()
    script = Script(2, processors=("an old GPU",), precisions=(OLD,))
    search = Drive(plan_with("tf32"), Trained(), script, logbook, watcher=watcher, make_pool=OneByOne)
    with pytest.raises(
        CannotRunError, match=r"; use .* or `evosearch delete small` and begin it again"
    ) as ended:
        search()
    assert logbook.of(Interrupted) == [Interrupted(str(ended.value))]
    assert not watcher.lines
    assert watcher.waits == ("starting workers: 0 of 2 ready, 1 turned away for want of tf32",)


def test_who_has_trained_already_is_not_told_to_delete_it():
    whole, _ = driven(plan_with("tf32"), Script(precisions=(NEW,)))
    facts = [fact for fact in whole.logbook.facts if not isinstance(fact, Completed)]
    with pytest.raises(CannotRunError, match=r"; use .* or begin another search, under another name, with"):
        driven(plan_with("tf32"), Script(precisions=(OLD,)), facts[: len(facts) // 2])


def test_a_search_goes_on_with_the_others_and_says_once_who_is_turned_away():
    notes = Notes()
    script = Script(4, processors=("an old GPU", "a new GPU"), precisions=(OLD, NEW))
    drive, trained = driven(plan_with(), script, BF16, notes)
    assert trained == {"bf16"}
    assert {fact.worker for fact in drive.logbook.of(Dispatched)} <= {"scripted-2", "scripted-4"}
    assert len([line for line in notes.lines if "turned away" in line]) == 1
    assert {worker.name for worker in drive.pool.alive} == {"scripted-2", "scripted-4"}
    assert [fact.processor for fact in drive.logbook.of(ProcessorSeen)] == ["a new GPU"]
    assert not [line for line in notes.lines if "its bits may differ" in line]


def test_a_search_whose_last_able_worker_is_gone_for_good_ends():
    class Shrinking(ScriptedPool):
        def _replace(self, worker):
            del self._alive[worker]

    script = Script(2, {(0, 1): FailureKind.CRASHED}, precisions=(NEW, OLD))
    drive = Drive(plan_with(), Trained(), script, MemoryLogbook(), make_pool=Shrinking)
    with pytest.raises(CannotRunError, match="scripted-2 is turned away"):
        drive()


def test_bf16_that_is_named_is_computed_anywhere():
    _, trained = driven(plan_with("bf16"), Script(precisions=(OLD,)))
    assert trained == {"bf16"}


def test_workers_that_do_not_say_what_they_can_do_are_given_everything():
    for plan, before in ((plan_with("tf32"), []), (plan_with(), BF16)):
        _, trained = driven(plan, Script(), before)
        assert trained <= {"tf32", "bf16"}


def test_whoever_joins_later_is_turned_away_too():
    fleet, _ = step(Fleet.of(Member(plan_with(), replay(plan_with(), BF16))), Begun())
    serials = itertools.count()
    for able, welcome in ((NEW, True), (OLD, False), (NEW, True)):
        worker = Worker(f"w{next(serials)}", "n/cuda:0", processor="a GPU", precisions=able)
        fleet, commands = step(fleet, WorkerJoined(worker))
        turned = [one.worker for one in commands if isinstance(one, TurnAway)]
        assert (worker.name in fleet.workers, turned) == (welcome, [] if welcome else [worker])
