"""The genetic search for masks of a dropout layer (GA-Dropout), and the one trial that keeps its features."""

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from math import inf, nan

import numpy as np
import pytest

from evosearch.blueprint import ImageShape, Problem
from evosearch.errors import ConfigError, SearchConflictError
from evosearch.evaluation import (
    Failure,
    FailureKind,
    Features,
    FeaturesOf,
    Losses,
    MaskRule,
    Masks,
    Origin,
    TrainingSettings,
    Trial,
    TrialId,
    evaluation_seed,
    sample_of,
)
from evosearch.genome import SearchSpace, parse_network
from evosearch.search import (
    FeaturesSettings,
    FeaturesStrategy,
    Mask,
    MasksSettings,
    MasksStrategy,
    SearchContext,
    best_mask,
    score_of,
)
from evosearch.search.masks import draw_vector, mutated, roulette, spread_out
from evosearch.testing import formula_loss, formula_mask
from evosearch.testing.strategy_contract import (
    GenerationalContract,
    ReplayContract,
    asked_in,
    rounds,
)

DIGEST = "ab" * 32
TRAINING = TrainingSettings(epochs=50, patience=4, fit="train", learning_rate=0.01)
FAILED = Failure(FailureKind.OUT_OF_MEMORY, "")


def context(seed: int = 3) -> SearchContext:
    return SearchContext(SearchSpace(), Problem(ImageShape(1, 8, 8), 2), TRAINING, seed)


def search(seed: int = 3, **settings) -> MasksStrategy:
    settings = {"population": 6, "cycle": 2, "units": 12, "features": DIGEST} | settings
    return MasksSettings(network="resnet18", **settings).make(context(seed))


def by_formula(trial: Trial) -> Losses:
    return Losses(tuple(formula_loss(vector, 7) for vector in trial.subject.vectors), 0.0)


def losing(*losses: float):
    """The losses of the first generation; of later ones each vector's is 9."""
    return lambda trial: Losses(losses if trial.number == 0 else (9.0,) * len(trial.subject.vectors), 0.0)


def after_first(strategy: MasksStrategy, *losses: float):
    return strategy.tell(strategy.start(), {TrialId(0): Losses(losses, 0.0)})


class TestMasksKeepTheContract(GenerationalContract):
    def make_strategy(self, generations: int) -> MasksStrategy:
        return search(cycle=generations - 1)


class TestMasksDrawnAtRandomKeepTheContract(GenerationalContract):
    def make_strategy(self, generations: int) -> MasksStrategy:
        return search(cycle=generations - 1, breeding="random", population=5)


class TestFeaturesKeepTheContract(ReplayContract):
    def make_strategy(self, generations: int) -> FeaturesStrategy:
        return FeaturesSettings(network="C8 P | F12").make(context())


# Roulette


def chances_of(losses, weight=11.0, draws=4000):
    rng = np.random.default_rng(5)
    drawn = Counter(roulette(losses, 1, weight, rng)[0] for _ in range(draws))
    return [drawn[place] / draws for place in range(len(losses))]


def test_the_chance_to_be_selected_is_what_the_fitness_is_below_the_worst():
    """worst - fitness: 3, 1, 0 and 2 of 6; four deviations of 4,000 draws are .032."""
    expected = [3 / 6, 1 / 6, 0, 2 / 6]
    found = chances_of([0.2, 0.4, 0.5, 0.3])
    assert found[2] == 0
    assert found == pytest.approx(expected, abs=4 * (0.25 / 4000) ** 0.5)


def test_the_weight_cancels():
    rngs = [np.random.default_rng(9) for _ in range(2)]
    losses = list(np.random.default_rng(1).random(30))
    assert roulette(losses, 15, 11.0, rngs[0]) == roulette(losses, 15, 300.0, rngs[1])


def test_equal_losses_are_equally_likely():
    assert chances_of([0.5] * 4) == pytest.approx([0.25] * 4, abs=4 * (0.1875 / 4000) ** 0.5)


def test_nobody_is_drawn_twice_and_those_without_a_loss_come_last():
    losses = [None, 0.5, 0.25, None, 0.5]
    for seed in range(50):
        drawn = roulette(losses, 5, 11.0, np.random.default_rng(seed))
        assert sorted(drawn) == [0, 1, 2, 3, 4]
        assert drawn[0] == 2 and {*drawn[3:]} == {0, 3}


def test_where_nobody_has_a_loss_all_are_equally_likely():
    assert chances_of([None, None]) == pytest.approx([0.5, 0.5], abs=4 * 0.5 / 4000**0.5)


# Vectors


def test_the_first_generation_has_shares_of_zeros_spread_evenly():
    vectors = search(population=9, units=20).start().born
    assert [vector.count("0") for vector in vectors] == [2, 4, 6, 8, 10, 12, 14, 16, 18]
    assert search(population=3, units=20, shares=(0.5, 0.5)).start().born[1].count("0") == 10
    assert spread_out(1, (0.1, 0.9)) == [0.5]


def test_a_share_of_1_still_keeps_a_unit():
    assert [draw_vector(5, 1.0, np.random.default_rng(seed)).count("1") for seed in range(9)] == [1] * 9
    assert draw_vector(1, 0.9, np.random.default_rng(0)) == "1"


def test_zeros_lie_anywhere_with_the_same_chance():
    drawn = [draw_vector(6, 1 / 3, np.random.default_rng(seed)) for seed in range(6000)]
    counts = [sum(vector[place] == "0" for vector in drawn) for place in range(6)]
    assert counts == pytest.approx([2000] * 6, abs=4 * (6000 * 2 / 9) ** 0.5)


def test_bits_flip_with_their_chance():
    flipped = sum(mutated("1" * 100, 0.05, np.random.default_rng(seed)).count("0") for seed in range(500))
    assert flipped == pytest.approx(2500, abs=4 * (50_000 * 0.05 * 0.95) ** 0.5)
    assert mutated("0110", 0.0, np.random.default_rng(0)) == "0110"


def test_no_vector_drops_every_unit():
    found = Counter(mutated("1111", 1.0, np.random.default_rng(seed)) for seed in range(400))
    assert set(found) == {"1000", "0100", "0010", "0001"}
    assert min(found.values()) > 60


FEW, ALL = "00001", "11111"


def children(**settings):
    """How often the only child of two parents, `FEW` and `ALL`, is what."""
    counts = Counter[str]()
    for seed in range(200):
        strategy = search(seed, population=3, units=5, mutation=0.0, **settings)
        state = replace(strategy.start(), born=(FEW, ALL, "10101"))
        state = strategy.tell(state, {TrialId(0): Losses((0.0, 0.0, 1.0), 0.0)})
        assert [one.vector for one in state.staying] == [FEW, ALL]
        counts.update(state.born)
    return counts


def test_crossover_is_at_one_point_anywhere_within():
    """Points 1 to 4, either parent first: eight children, all as likely."""
    found = children(crossover=1.0)
    assert set(found) == {FEW[:at] + ALL[at:] for at in range(1, 5)} | {
        ALL[:at] + FEW[at:] for at in range(1, 5)
    }
    assert [found[one] for one in found] == pytest.approx([25] * 8, abs=4 * (200 * 7 / 64) ** 0.5)


def test_a_child_that_is_not_crossed_is_a_copy_of_either_parent():
    found = children(crossover=0.0)
    assert set(found) == {FEW, ALL}
    assert found[FEW] == pytest.approx(100, abs=4 * 50**0.5)


def test_children_are_crossed_with_their_chance():
    found = children(crossover=0.4)
    same = {FEW, ALL}  # a quarter of what is crossed is a parent again: the last bits are equal
    assert sum(found[one] for one in same) == pytest.approx(
        200 * (0.6 + 0.4 / 4), abs=4 * (200 * 0.21) ** 0.5
    )


def test_mutation_flips_one_bit_on_average_unless_told_otherwise():
    strategy = search(population=400, units=50, crossover=0.0, cycle=1, selected=0.005)
    state = strategy.start()
    same = "01" * 25
    state = strategy.tell(replace(state, born=(same,) * 400), {TrialId(0): Losses((1.0,) * 400, 0.0)})
    flipped = [sum(one != other for one, other in zip(vector, same, strict=True)) for vector in state.born]
    assert len(flipped) == 398
    assert sum(flipped) / 398 == pytest.approx(1.0, abs=4 * 0.99 / 398**0.5)


# Generations


def test_a_generation_is_a_trial_whose_number_it_has_and_which_holds_the_new_vectors_alone():
    asked = asked_in(rounds(search(population=7, cycle=3, selected=0.4), by_formula))
    assert [(one.number, one.candidate.number, one.candidate.generation) for one in asked] == [
        (n, n, n) for n in range(4)
    ]
    assert [len(one.subject.vectors) for one in asked] == [7, 4, 4, 4]
    assert {one.subject.features for one in asked} == {DIGEST}
    assert [one.candidate.origin for one in asked] == [Origin.INITIAL, *[Origin.CROSSOVER] * 3]
    assert [one.candidate.parents for one in asked] == [(), (0,), (1,), (2,)]


def test_what_stays_keeps_its_loss_and_is_not_trained_again():
    strategy = search(units=40)
    history = rounds(strategy, by_formula)
    states = [state for state, _ in history]
    for before, after in pairwise(states):
        trained = strategy.tell(replace(before, outcome=None), {TrialId(9): FAILED})
        assert trained == replace(before, outcome=None)  # what is told of another trial is not noted
        known = {(one.generation, one.slot): one for one in after.staying}
        assert len(known) == 3
        for one in after.staying:
            assert one.loss == formula_loss(one.vector, 7)
            assert one.generation < after.generation
    assert all(one in states[0].born for one in (m.vector for m in states[1].staying))


def test_selected_are_two_at_least():
    assert search(population=3, selected=0.01).settings.staying == 2
    assert search(population=30, selected=0.5).settings.staying == 15


def test_it_descends_where_random_vectors_do_not():
    """Of 36 units; both train as many vectors, of three seeds each."""
    best = {
        breeding: np.mean(
            [
                rounds(search(seed, breeding=breeding, population=30, cycle=20, units=36), by_formula)[-1][0]
                .best[1]
                .loss
                for seed in range(3)
            ]
        )
        for breeding in ("genetic", "random")
    }
    assert best["genetic"] < best["random"] - 0.05
    assert formula_loss(formula_mask(7, 36), 7) < 0.05


def test_random_breeding_trains_as_many_vectors_each_drawn_as_the_first_ones():
    genetic, random = (search(breeding=one, population=8, units=20) for one in ("genetic", "random"))
    counts = [
        [len(t.subject.vectors) for t in asked_in(rounds(one, by_formula))] for one in (genetic, random)
    ]
    assert counts[0] == counts[1] == [8, 4, 4]
    for trial in asked_in(rounds(random, by_formula))[1:]:
        assert [vector.count("0") for vector in trial.subject.vectors] == [2, 7, 13, 18]
        assert (trial.candidate.origin, trial.candidate.parents) == (Origin.IMMIGRANT, ())
    assert random.start() == genetic.start()


def test_random_vectors_do_not_depend_on_losses():
    random = search(breeding="random")
    one, other = (asked_in(rounds(random, judge)) for judge in (by_formula, losing(*range(6))))
    assert one == other


def test_what_failed_is_a_parent_of_nobody_while_others_have_losses():
    strategy = search(population=4)
    state = after_first(strategy, nan, 0.5, inf, 0.25)
    assert [one.slot for one in state.staying] == [1, 3]
    state = strategy.tell(state, {TrialId(1): FAILED})
    assert [(one.generation, one.slot) for one in state.staying] == [(0, 1), (0, 3)]
    assert strategy.progress(state).best[1] == 0.25


def test_a_search_whose_first_generation_failed_goes_on_with_any_two():
    strategy = search(population=4)
    state = strategy.tell(strategy.start(), {TrialId(0): FAILED})
    assert len(state.staying) == len(state.born) == 2
    assert strategy.progress(state).best is None
    state = strategy.tell(state, {TrialId(1): Losses((0.5, 0.25), 0.0)})
    assert [(one.generation, one.loss) for one in state.staying] == [(1, 0.5), (1, 0.25)]


def test_other_seeds_and_generations_draw_otherwise():
    one, other = (asked_in(rounds(search(seed), by_formula)) for seed in (3, 4))
    assert all(mine.subject != theirs.subject for mine, theirs in zip(one, other, strict=True))


# The best


def test_the_best_is_the_lowest_loss_of_equals_the_earlier_generation_and_slot():
    trained = [
        (1, Masks(("0001", "0111")), Losses((0.25, 0.25), 0.0)),
        (0, Masks(("0011", "1111", "0000")), Losses((nan, 0.25, 0.25), 0.0)),
        (2, Masks(("0101",)), Losses((0.3,), 0.0)),
    ]
    assert best_mask(trained) == Mask("1111", 0, 1, 0.25)
    assert best_mask([trained[0]]) == Mask("0001", 1, 0, 0.25)
    assert Mask("0001", 1, 0, 0.25).rate == 0.75
    assert best_mask([(0, Masks(("1",)), Losses((inf,), 0.0))]) is best_mask([]) is None


def test_progress_shows_the_best_of_all_generations_with_loss_and_rate():
    strategy = search(population=4, units=8, shares=(0.25, 0.75))
    progress = strategy.progress(after_first(strategy, 0.5, 0.25, 0.75, 1.0))
    assert (progress.generation, progress.asked, progress.by) == (1, 2, "loss")
    assert (progress.best[0].number, progress.best[1], progress.note) == (0, 0.25, "rate 0.375")
    assert progress.best == progress.best_before
    assert [one.number for one in progress.members] == [1]
    assert strategy.progress(strategy.start()).note == ""


def test_the_best_that_progress_shows_is_that_of_all_losses():
    strategy = search(population=10, units=30, cycle=6)
    history = rounds(strategy, by_formula)
    trained = [(t.number, t.subject, by_formula(t)) for t in asked_in(history)]
    assert strategy.progress(history[-1][0]).best[1] == best_mask(trained).loss
    assert history[-1][0].best is not None


# Settings


def test_a_trial_is_trained_as_the_search_says_for_the_epochs_of_masks():
    (trial,) = search(mask_epochs=7).ask(search().start())
    assert trial.settings == replace(TRAINING, epochs=7, patience=None)


def test_features_are_one_trial_trained_at_the_rate_beta():
    strategy = FeaturesSettings(network="C8 P | F12", beta=0.3, pretrain_epochs=2).make(context())
    (trial,) = strategy.ask(strategy.start())
    assert trial.subject == FeaturesOf(parse_network("C8 P | F12"))
    assert trial.settings == replace(TRAINING, epochs=2, class_dropout=0.3, patience=None)
    state = strategy.tell(strategy.start(), {trial.id: Features(DIGEST, 12, 1.0)})
    assert strategy.finished(state) and strategy.progress(state).best is None
    assert strategy.progress(state).scores[0].unjudged
    assert score_of(Features(DIGEST, 12, 1.0)).unjudged


def test_masks_are_judged_as_the_keys_say():
    assert search(objective="validation", scale="kept", beta=0.2).settings.rule == MaskRule(
        0.2, "validation", "kept"
    )


def test_a_search_is_extended_by_its_generations():
    settings = search(cycle=2).settings
    assert settings.generations == settings.evaluations_in_all == 3
    assert settings.with_generations(9) == replace(settings, cycle=8)
    with pytest.raises(SearchConflictError, match=r"2 to 10,001 generations.*not 1; "):
        settings.with_generations(1)
    with pytest.raises(SearchConflictError, match="one generation, not 2"):
        FeaturesSettings(network="resnet18").with_generations(2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"population": 2}, r"strategy.population is 2; it must be at least 3"),
        ({"cycle": 0}, r"strategy.cycle is 0; it must be at least 1"),
        ({"units": 0}, r"strategy.units is 0; it must be at least 1"),
        ({"features": "abc"}, r"strategy.features is 'abc'; give the sha256"),
        ({"shares": (0.9, 0.1)}, r"strategy.shares is \[0.9, 0.1\]; .*lower one first"),
        ({"shares": (0.1, 1.1)}, r"strategy.shares is \[0.1, 1.1\]; "),
        ({"sample": 0.0}, r"strategy.sample is 0.0; .*above 0 and at most 1"),
        ({"beta": 1.0}, r"strategy.beta is 1.0; .*1 excluded"),
        ({"selected": 1.0}, r"strategy.selected is 1.0; "),
        ({"selected": 0.95}, r"strategy.selected is 0.95, .*no child in a population of 6; lower it"),
        ({"crossover": 1.5}, r"strategy.crossover is 1.5; a chance lies between 0 and 1"),
        ({"mutation": -0.1}, r"strategy.mutation is -0.1; a chance lies between 0 and 1"),
        ({"weight": 10.0}, r"strategy.weight is 10.0; it must be above 10"),
        ({"weight": inf}, r"strategy.weight is inf; "),
        ({"mask_epochs": 0}, r"strategy.mask_epochs is 0; "),
        ({"pretrain_epochs": 0}, r"strategy.pretrain_epochs is 0; "),
    ],
)
def test_settings_that_mean_nothing_are_refused_with_the_repair(given, said):
    with pytest.raises(ConfigError, match=said):
        search(**given)


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ("", "strategy.network is missing; give a chromosome"),
        ("resnet19", "strategy.network: .*resnet19"),
        (f"resnet18 @{DIGEST}", "strategy.network"),
    ],
)
def test_a_network_that_keeps_no_features_is_refused(network, said):
    with pytest.raises(ConfigError, match=said):
        FeaturesSettings(network=network)


def test_a_sample_below_a_batch_is_refused_with_the_least_that_is_not():
    settings, training = FeaturesSettings(network="resnet18", sample=0.01), TrainingSettings(batch_size=16)
    with pytest.raises(
        ConfigError,
        match=r"strategy.sample is 0.01: 4 of 425 .* = 16; make it at least 0.038, or make training",
    ):
        settings.check_images(np.arange(425) % 2, "ab", training, seed=0)
    replace(settings, sample=0.038).check_images(np.arange(425) % 2, "ab", training, seed=0)
    with pytest.raises(
        ConfigError, match=r"1 of 9 training images, .* = 16; make training.batch_size smaller"
    ):
        settings.check_images(np.arange(9) % 2, "ab", training, seed=0)


def test_a_sample_that_lacks_a_class_is_refused_with_the_least_that_does_not():
    labels = np.zeros(400, np.int64)
    labels[7] = 1
    settings, training = FeaturesSettings(network="resnet18", sample=0.1), TrainingSettings(batch_size=16)
    seed = next(seed for seed in range(99) if not has_both(settings, labels, seed))
    with pytest.raises(
        ConfigError,
        match=r"study\.sample is 0\.1: 40 of 400 .*, none of them of class 'b', which has 1; make it at least 0\.\d+, or take another",
    ) as caught:
        settings.check_images(labels, "ab", training, seed, "study")
    least = float(re.search(r"at least (0\.\d+)", str(caught.value))[1])
    replace(settings, sample=least).check_images(labels, "ab", training, seed)
    with pytest.raises(ConfigError, match="none of them"):
        replace(settings, sample=least - 1 / 400).check_images(labels, "ab", training, seed)


def has_both(settings, labels, seed):
    drawn = sample_of(len(labels), settings.sample, evaluation_seed(seed, settings.subject.key))
    return labels[drawn].any()


def test_losses_that_are_no_numbers_are_no_score():
    assert score_of(Losses((nan, 0.5), 0.0)).objectives == {"loss": 0.5}
    assert score_of(Losses((nan, inf), 0.0)).failure is FailureKind.DIVERGED


def test_losses_of_other_masks_are_refused():
    with pytest.raises(ValueError, match="6 masks come to as many losses, found 1"):
        after_first(search(), 0.5)
