"""Strategies that know no generations, or breed something else than networks, on the real driver, kills included."""

from dataclasses import replace

import pytest

from evosearch.errors import StaleTermError, TooManyFailuresError
from evosearch.evaluation import (
    Candidate,
    FailureKind,
    Features,
    Losses,
    MaskRule,
    Masks,
    Origin,
    Trial,
    TrialId,
    evaluation_seed,
)
from evosearch.runtime import Plan
from evosearch.search import FeaturesSettings, MasksSettings, best_mask, features_of
from evosearch.storage import Born, Completed, Finished, GenerationStarted, Recalled, Stopped, VerdictReached
from evosearch.testing import BitBreeder, FailingEvaluator, LaggedStrategy, Script, Victims, formula_features
from tests.runtime.small_search import Drive, MemoryLogbook, make_plan


class DyingLogbook(MemoryLogbook):
    """Takes `left` transactions; then its driver is dead."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def append(self, facts):
        if self.left == 0:
            raise StaleTermError("killed")
        self.left -= 1
        super().append(facts)


CONTEXT = make_plan().context
OVER = {"network": "C8 P | F12", "sample": 0.25}
MASKS = MasksSettings(**OVER, features="ab" * 32, units=10, population=6, cycle=4)
FEATURES = FeaturesSettings(**OVER)


def plan_of(strategy) -> Plan:
    features = features_of(getattr(strategy, "settings", None))
    return Plan("small", strategy, CONTEXT, "data", features=features, kept_features="group/features")


def course(drive):
    """What was born and what came of it, in order of number."""
    born = {fact.trial: str(fact.candidate.subject) for fact in drive.logbook.of(Born)}
    ended = {fact.trial: fact.success for fact in drive.logbook.of(Finished)}
    return sorted((trial.number, born[trial], ended.get(trial)) for trial in born)


@pytest.mark.parametrize(
    "strategy",
    [LaggedStrategy(), BitBreeder(), MASKS.make(CONTEXT), FEATURES.make(CONTEXT)],
    ids=lambda one: type(one).__name__,
)
def test_wherever_its_driver_is_killed_it_comes_to_the_same_end(strategy):
    plan = plan_of(strategy)
    undisturbed = Drive(plan, script=Script(workers=2, shuffle=1))
    end = undisturbed()
    assert isinstance(undisturbed.logbook.facts[-1], Completed)
    for left in range(2, len(undisturbed.logbook.transactions)):
        killed = Drive(plan, script=Script(workers=2, shuffle=left), logbook=DyingLogbook(left))
        with pytest.raises(StaleTermError):
            killed()
        resumed = Drive(plan, script=Script(workers=3, shuffle=left + 1))
        assert resumed(killed.logbook.facts).search == end.search
        assert course(resumed) == course(undisturbed)


def test_without_generations_slots_stay_full_and_candidates_are_born_as_others_end():
    drive = Drive(plan_of(LaggedStrategy(slots=3)), script=Script(workers=3))
    drive()
    births = [sum(isinstance(fact, Born) for fact in facts) for facts in drive.logbook.transactions]
    first, *others = [count for count in births if count]
    assert first == 3 and sum(others) == 9 and len(others) > 3
    assert len(drive.logbook.of(GenerationStarted)) == 1


def test_masks_are_journaled_with_the_loss_of_each():
    drive = Drive(plan_of(BitBreeder()))
    state = drive()
    assert all(isinstance(fact.candidate.subject, Masks) for fact in drive.logbook.of(Born))
    assert all(len(fact.success.losses) == 5 for fact in drive.logbook.of(Finished))
    assert all(isinstance(known, Losses) for _, known in state.remembered.values())


# Features, and masks over them


def trial_of(settings) -> tuple[Plan, Trial]:
    plan = plan_of(settings.make(CONTEXT))
    return plan, plan.strategy.ask(plan.strategy.start())[0]


def test_masks_carry_the_recipe_of_their_features_as_the_search_that_kept_them_followed_it():
    (kept, features), (plan, masks) = trial_of(FEATURES), trial_of(MASKS)
    recipe, task = kept.task(features), plan.task(masks)
    assert task.features == recipe
    assert recipe.settings == FEATURES.pretraining(CONTEXT.training)
    assert (recipe.share, recipe.seed) == (0.25, evaluation_seed(0, FEATURES.subject.key))
    assert recipe.place.startswith("group/features/") and recipe.place.endswith(".safetensors")
    assert (task.rule, task.settings.epochs) == (MaskRule(), 5)


@pytest.mark.parametrize(
    "other", [{"sample": 0.5}, {"beta": 0.25}, {"network": "C9 P | F12"}, {"pretrain_epochs": 9}]
)
def test_other_features_are_kept_in_another_place(other):
    places = [kept.task(trial).place for kept, trial in map(trial_of, (FEATURES, replace(FEATURES, **other)))]
    assert places[0] != places[1]


def test_all_generations_are_trained_by_the_chance_of_their_features_and_none_is_recalled():
    """Without mutation and crossover the children of equal parents are trained all the same."""
    settings = replace(MASKS, crossover=0.0, mutation=0.0, shares=(0.5, 0.5), units=2, population=4)
    drive = Drive(plan := plan_of(settings.make(CONTEXT)))
    drive()
    trials = [fact.trial for fact in drive.logbook.of(Born)]
    assert {plan.seed(trial) for trial in trials} == {evaluation_seed(0, MASKS.features)}
    assert len({str(trial.subject) for trial in trials[1:]}) < 4
    assert len(drive.logbook.of(Finished)) == 5
    assert not drive.logbook.of(Recalled)


def test_the_verdict_is_the_generation_of_the_lowest_loss():
    drive = Drive(plan_of(MASKS.make(CONTEXT)))
    drive()
    born = {fact.trial.number: fact.candidate.subject for fact in drive.logbook.of(Born)}
    trained = [(fact.number, born[fact.number], fact.success) for fact in drive.logbook.of(Finished)]
    best = best_mask(trained).generation
    assert drive.logbook.facts[-1] == Completed(best)
    assert drive.logbook.of(VerdictReached)[-1] == VerdictReached(best)
    assert [fact.members for fact in drive.logbook.of(GenerationStarted)] == [(n,) for n in range(5)]


def test_features_come_to_their_digest_and_no_verdict():
    plan, trial = trial_of(FEATURES)
    drive = Drive(plan)
    drive()
    (fact,) = drive.logbook.of(Finished)
    assert fact.success == formula_features(plan.task(trial))
    assert isinstance(fact.success, Features)
    assert drive.logbook.facts[-1] == Completed(None)


def test_what_features_take_is_a_part_of_what_a_whole_training_takes():
    plan, trial = trial_of(replace(FEATURES, pretrain_epochs=2))
    whole = plan.size(Trial.of(Candidate(0, 0, trial.subject.network, Origin.INITIAL)))
    part = plan.size(trial)
    assert part.work == pytest.approx([0.25 * 2 / CONTEXT.training.epochs * value for value in whole.work])
    assert part.peak == whole.peak
    masks, generation = trial_of(MASKS)
    assert masks.size(generation) is None


def test_a_first_generation_that_fails_as_error_stops_the_search_and_is_trained_again():
    plan = plan_of(MASKS.make(CONTEXT))
    failing = FailingEvaluator(Victims(every=1), FailureKind.ERROR)
    drive = Drive(plan, failing)
    with pytest.raises(TooManyFailuresError, match="fails on purpose"):
        drive()
    assert isinstance(drive.logbook.facts[-1], Stopped)
    again = Drive(plan)
    assert again(drive.logbook.facts).search == Drive(plan)().search


def test_a_generation_that_fails_for_good_is_passed_over():
    plan = plan_of(MASKS.make(CONTEXT))
    second = Drive(plan)
    second()
    victim = str(second.logbook.of(Born)[1].candidate.subject)
    drive = Drive(plan, FailingEvaluator(Victims(frozenset({victim}))))
    end = drive()
    assert [fact.number for fact in drive.logbook.of(Finished)] == [0, 2, 3, 4]
    assert end.failed == {TrialId(1): FailureKind.DIVERGED}
    assert plan.strategy.finished(end.search)
