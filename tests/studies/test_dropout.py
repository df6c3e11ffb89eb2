"""What a dropout study trains, step by step."""

from dataclasses import replace

import pytest

from evosearch.errors import ConfigError
from evosearch.evaluation import Features, Losses, Masks, TrainingSettings
from evosearch.genome import SearchSpace
from evosearch.search import EavlSettings, FeaturesSettings, FixedListSettings, ListedTrial, MasksSettings
from evosearch.studies import Basis, Common, DropoutStudy, Spent, arms_in_order, dropout_references, steps_of
from evosearch.studies.dropout import grid_of, uniform_rate

DIGEST = "ab" * 32
COMMON = Common(EavlSettings(fitness="auroc"), SearchSpace(), TrainingSettings(epochs=3))
MINE = "C8 P | F4"
ALL = ("ga", "fixed", "none", "grid", "random", "first", "uniform", "weighted")
KEPT = Spent(6.0, (), (6.0,), features=Features(DIGEST, 4, 6.0))
GENETIC = Spent(
    8.0,
    (),
    (5.0, 3.0),
    masks=(
        (0, Masks(("0111", "0011"), DIGEST), Losses((0.5, 0.75), 5.0)),
        (1, Masks(("0001",), DIGEST), Losses((0.25,), 3.0)),
    ),
)
RANDOM = Spent(8.0, (), masks=((0, Masks(("0011",), DIGEST), Losses((0.5,), 8.0)),))
TRAINED = Spent(2.0, (2.0,), (2.0,))
SEARCHED = {
    ("resnet18-features", 5): KEPT,
    ("resnet18-masks", 5): GENETIC,
    ("resnet18-random-masks", 5): RANDOM,
}


def steps(study, **common):
    starts = {one: ListedTrial(one) for one in study.networks}
    return {one.name: one for one in steps_of(study, replace(COMMON, **common), starts)}


def arms(step, ended=None):
    return {one.arm.name: one.arm for one in step.members(ended or {})}


def study(**changes):
    return DropoutStudy(**{"networks": ("resnet18",), "arms": ALL, "seeds": (5,), **changes})


def test_features_come_first_of_each_network_from_each_seed():
    asked = study(networks=("resnet18", MINE), seeds=(3, 5), beta=0.4, sample=0.2, pretrain_epochs=2)
    members = steps(asked)["features"].members({})
    assert [one.name("d") for one in members] == [
        "d/resnet18-features-seed-3",
        "d/resnet18-features-seed-5",
        "d/network-07476739-features-seed-3",
        "d/network-07476739-features-seed-5",
    ]
    arm = members[0].arm
    assert arm.strategy == FeaturesSettings(network="resnet18", beta=0.4, sample=0.2, pretrain_epochs=2)
    assert (arm.training, arm.is_row) == (COMMON.training, False)


def test_masks_are_bred_over_the_features_that_were_kept_and_drawn_beside_them():
    asked = study(population=7, cycle=3, shares=(0.2, 0.8), objective="validation", sample=0.3)
    found = arms(steps(asked)["masks"], {("resnet18-features", 5): KEPT})
    genetic = MasksSettings(
        network="resnet18",
        features=DIGEST,
        units=4,
        sample=0.3,
        population=7,
        cycle=3,
        shares=(0.2, 0.8),
        objective="validation",
    )
    assert {name: arm.strategy for name, arm in found.items()} == {
        "resnet18-masks": genetic,
        "resnet18-random-masks": replace(genetic, breeding="random"),
    }
    assert not any(arm.is_row for arm in found.values())


def test_networks_are_trained_with_the_rates_that_were_found_and_others():
    found = arms(steps(study(fixed=0.3))["networks"], SEARCHED)
    settings = {name.removeprefix("resnet18-"): arm.training for name, arm in found.items()}
    assert {name: (one.class_dropout, one.dropout_units) for name, one in settings.items()} == {
        "ga": (0.75, "uniform"),
        "fixed": (0.3, "uniform"),
        "none": (0.0, "uniform"),
        "random": (0.5, "uniform"),
        "first": (0.25, "uniform"),
        "uniform": (uniform_rate(5, "resnet18"), "uniform"),
        "weighted": (0.75, "weighted"),
    }
    assert {replace(one, class_dropout=None, dropout_units="uniform") for one in settings.values()} == {
        COMMON.training
    }
    once = FixedListSettings(trials=(ListedTrial("resnet18"),), fitness="auroc")
    assert all(arm.strategy == once and arm.is_row for arm in found.values())


def test_an_arm_rests_on_the_searches_that_found_its_rate():
    found = arms(steps(study())["networks"], SEARCHED)
    bases = {name.removeprefix("resnet18-"): arm.bases for name, arm in found.items()}
    features, masks = Basis("resnet18-features"), Basis("resnet18-masks")
    assert bases["ga"] == bases["weighted"] == (features, masks)
    assert bases["first"] == (features, replace(masks, first=True))
    assert bases["random"] == (features, Basis("resnet18-random-masks"))
    assert bases["fixed"] == bases["none"] == bases["uniform"] == ()


def test_a_grid_has_as_many_trainings_as_the_search_and_its_training_would_pay_for():
    ended = SEARCHED | {("resnet18-ga", 5): TRAINED, ("resnet18-fixed", 5): Spent(9.0, (9.0,), (9.0,))}
    (grid,) = arms(steps(study())["grid"], ended).values()
    rates = [one.settings.class_dropout for one in grid.strategy.trials]
    assert rates == list(grid_of(8)), "(6 + 8 + 2) seconds at 2 for each"
    assert grid.strategy.trials[0].settings == replace(COMMON.training, class_dropout=1 / 9)
    assert grid.strategy.fitness == "auroc"
    assert (grid.name, grid.bases, grid.is_row) == ("resnet18-grid", (), True)


@pytest.mark.parametrize(
    ("changed", "count"),
    [
        ({("resnet18-ga", 5): Spent(0.5, (0.5,))}, 1 + round(14 / 9)),  # it failed: the next arm's price
        ({("resnet18-ga", 5): Spent(0.0, (0.0,), (0.0,))}, 1),
        ({("resnet18-ga", 5): Spent(90.0, (90.0,), (90.0,))}, 1),
    ],
)
def test_a_grid_has_one_training_at_least(changed, count):
    ended = SEARCHED | {("resnet18-fixed", 5): Spent(9.0, (9.0,), (9.0,))} | changed
    (grid,) = arms(steps(study())["grid"], ended).values()
    assert len(grid.strategy.trials) == count


def test_where_no_features_were_kept_only_arms_are_trained_that_need_none():
    asked = study(seeds=(4, 5))
    ended = {**SEARCHED, ("resnet18-features", 4): Spent(1.0, (1.0,))}
    masks = [(one.arm.name, one.seed) for one in steps(asked)["masks"].members(ended)]
    assert masks == [("resnet18-masks", 5), ("resnet18-random-masks", 5)]
    trained = {one.arm.name for one in steps(asked)["networks"].members(ended) if one.seed == 4}
    assert trained == {"resnet18-fixed", "resnet18-none", "resnet18-uniform"}


def test_masks_without_a_loss_that_is_a_number_find_no_rate():
    bad = replace(GENETIC, masks=((0, Masks(("01",), DIGEST), Losses((float("nan"),), 1.0)),))
    found = arms(steps(study())["networks"], SEARCHED | {("resnet18-masks", 5): bad})
    assert "resnet18-ga" not in found
    assert "resnet18-random" in found


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("fixed", "none", "uniform"), ["networks"]),
        (("ga",), ["features", "masks", "networks"]),
        (("random",), ["features", "masks", "networks"]),
        (("fixed", "grid"), ["features", "masks", "networks", "grid"]),
    ],
)
def test_what_no_arm_rests_on_is_not_searched(asked, expected):
    assert list(steps(study(arms=asked))) == expected


def test_only_the_searches_are_begun_that_arms_rest_on():
    kept = {("resnet18-features", 5): KEPT}
    assert set(arms(steps(study(arms=("random",)))["masks"], kept)) == {"resnet18-random-masks"}
    assert set(arms(steps(study(arms=("fixed", "grid")))["masks"], kept)) == {"resnet18-masks"}


def test_a_rate_drawn_evenly_is_the_seeds_and_the_networks_own():
    drawn = [uniform_rate(seed, network) for seed in range(40) for network in ("resnet18", MINE)]
    assert len(set(drawn)) == 80
    assert min(drawn) < 0.1
    assert 0.9 < max(drawn) < 1
    assert drawn == [uniform_rate(seed, network) for seed in range(40) for network in ("resnet18", MINE)]


def test_each_networks_arms_are_held_against_its_own_ga_else_its_first():
    asked = study(networks=("resnet18", MINE), arms=("fixed", "ga"))
    assert arms_in_order(asked) == (
        "resnet18-fixed",
        "resnet18-ga",
        "network-07476739-fixed",
        "network-07476739-ga",
    )
    assert dropout_references(asked) == {
        "resnet18-fixed": "resnet18-ga",
        "resnet18-ga": "resnet18-ga",
        "network-07476739-fixed": "network-07476739-ga",
        "network-07476739-ga": "network-07476739-ga",
    }
    assert dropout_references(study(arms=("none", "fixed")))["resnet18-fixed"] == "resnet18-none"


def test_what_the_arms_say_themselves_is_refused_of_the_file():
    with pytest.raises(
        ConfigError, match=r"training\.class_dropout is 0\.2, which a dropout study says for each"
    ):
        steps(study(), training=replace(COMMON.training, class_dropout=0.2))


def test_a_network_with_given_weights_is_refused():
    with pytest.raises(
        ConfigError, match=r"study\.networks has digits, whose network starts from given weights"
    ):
        steps_of(study(networks=("digits",)), COMMON, {"digits": ListedTrial(f"C8 | @ {DIGEST}")})
