"""What a study trains, step by step."""

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evosearch.errors import ConfigError
from evosearch.evaluation import TrainingSettings
from evosearch.genome import SearchSpace
from evosearch.search import (
    EavlSettings,
    EvoCnnSettings,
    FixedListSettings,
    ListedTrial,
    RandomSearchSettings,
)
from evosearch.studies import (
    AblationStudy,
    ArmBudget,
    BaselinesStudy,
    Basis,
    BatchNormStudy,
    Common,
    LearningRates,
    NamedNetwork,
    Spent,
    arms_in_order,
    budgets_of,
    own_references,
    steps_of,
)
from evosearch.studies.steps import learning_rates

EVOLUTION = EavlSettings(population=8, generations=3, elites=2, immigrants=2, fitness="auroc", redraws=7)
COMMON = Common(EVOLUTION, SearchSpace(), TrainingSettings(epochs=3))


def arms(step, ended=None):
    found = {}
    for member in step.members(ended or {}):
        found.setdefault(member.arm.name, member.arm)
    return found


def listed(network):
    return FixedListSettings(trials=(ListedTrial(network),), fitness="auroc")


def test_what_is_to_be_trained_is_counted_before_anything_is_looked_up():
    baselines = BaselinesStudy(seeds=(3, 5), networks=("evolved", "resnet18", "some-search"))
    total = EVOLUTION.evaluations_in_all
    assert budgets_of(baselines, COMMON) == (
        ArmBudget("evolved", 2, total, evolved=True),
        ArmBudget("resnet18", 2, 1, evolved=False),
        ArmBudget("some-search", 2, 1, evolved=False),
    )
    ablation = AblationStudy(arms=("random", "eavl"), random="seconds")
    assert [(one.name, one.trainings) for one in budgets_of(ablation, COMMON)] == [
        ("eavl", total),
        ("random", None),
    ]
    few = BatchNormStudy(network="C8 B4 |", seeds=(0,), optimizers=("adam",))
    assert [one.name for one in budgets_of(few, COMMON)] == ["origin-adam", "variant1-adam", "variant2-adam"]
    assert budgets_of(replace(few, network="some-search"), COMMON) == ()


def test_baselines_train_every_network_from_every_seed_beside_the_files_own_evolution():
    mine = NamedNetwork("digits", "mine", weights="w.safetensors")
    study = BaselinesStudy(seeds=(3, 5), networks=("evolved", "resnet18", mine))
    (step,) = steps_of(study, COMMON, {"resnet18": ListedTrial("resnet18"), "mine": ListedTrial("C8 | F4")})
    members = step.members({})
    assert [one.name("compare") for one in members] == [
        "compare/evolved-seed-3",
        "compare/evolved-seed-5",
        "compare/resnet18-seed-3",
        "compare/resnet18-seed-5",
        "compare/mine-seed-3",
        "compare/mine-seed-5",
    ]
    found = arms(step)
    assert found["evolved"].strategy == EVOLUTION
    assert found["resnet18"].strategy == listed("resnet18")
    assert found["mine"].strategy == listed("C8 | F4")
    assert found["mine"].strategy.trials[0].weights == "w.safetensors"
    assert all(one.training == COMMON.training for one in found.values())


def test_given_networks_may_cost_as_much_as_the_evolution_each_training_at_another_learning_rate():
    common = replace(COMMON, training=TrainingSettings(epochs=3, learning_rate=1e-3))
    study = BaselinesStudy(seeds=(0, 1), networks=("resnet18", "evolved"), given="seconds")
    first, second = steps_of(study, common, {"resnet18": ListedTrial("resnet18")})
    once = arms(first)["resnet18-once"]
    assert (once.strategy, once.is_row) == (listed("resnet18"), False)
    assert arms(first)["evolved"].strategy == EVOLUTION
    ended = {
        **{("evolved", seed): Spent(90.0, (2.0, 4.0)) for seed in (0, 1)},
        ("resnet18-once", 0): Spent(20.0, (20.0,), (20.0,)),
        ("resnet18-once", 1): Spent(60.0, (60.0,), (60.0,)),
    }
    few, one = second.members(ended)
    assert [trial.settings.learning_rate for trial in few.arm.strategy.trials] == pytest.approx(
        [1e-3, 1e-3 / 10**0.5, 1e-3 * 10**0.5], rel=1e-5
    ), "with the first, which told the price, 80 seconds; 5 would be 100"
    assert {replace(trial.settings, learning_rate=1e-3) for trial in few.arm.strategy.trials} == {
        common.training
    }
    assert len(one.arm.strategy.trials) == 1, "what is dearer than that is trained nevertheless"
    assert few.arm.bases == (Basis("resnet18-once"),)
    failed = {**ended, ("resnet18-once", 0): Spent(20.0, (20.0,)), ("evolved", 1): Spent(0.0, ())}
    assert [len(member.arm.strategy.trials) for member in second.members(failed)] == [3, 1], (
        "a first training that diverged has a price too, and other learning rates may do better"
    )
    at_once = {**ended, ("resnet18-once", 0): Spent(0.5, (0.5,))}
    assert len(second.members(at_once)[0].arm.strategy.trials) == EVOLUTION.evaluations_in_all
    assert arms_in_order(study) == ("resnet18", "evolved")
    assert budgets_of(study, common) == (
        ArmBudget("evolved", 2, EVOLUTION.evaluations_in_all, evolved=True),
        ArmBudget("resnet18", 2, None, evolved=False),
    )


@given(st.integers(1, 500))
def test_any_number_of_learning_rates_covers_the_range_evenly(count):
    rates = sorted(learning_rates(1e-3, count))
    assert len({*rates}) == count
    steps = [math.log10(one / 1e-4) for one in (1e-4, *rates, 1e-2)]
    gaps = [high - low for low, high in itertools.pairwise(steps)]
    assert max(gaps) <= 4 / (count + 1), "at most twice what an even ladder would have"


def test_an_ablation_changes_one_thing_in_each_arm_and_leaves_the_budget():
    names = (
        "vgg16_bn",
        "random",
        "evo_cnn",
        "eavl",
        "eavl_no_balance",
        "eavl_no_immigrants",
        "eavl_batch_norm_everywhere",
        "eavl_proportional",
    )
    (step,) = steps_of(AblationStudy(arms=names), COMMON, {})
    found, everywhere = arms(step), replace(COMMON.space, batch_norm=1.0)
    assert found["vgg16_bn"].strategy == listed("vgg16_bn")
    assert found["random"].strategy == RandomSearchSettings(
        evaluations=EVOLUTION.evaluations_in_all, fitness="auroc", redraws=7
    )
    assert found["evo_cnn"].strategy == EvoCnnSettings(
        population=8, generations=3, elites=2, immigrants=2, fitness="auroc", redraws=7
    )
    assert found["eavl"].strategy == EVOLUTION
    assert found["eavl_no_balance"].strategy == replace(EVOLUTION, balance=False)
    assert found["eavl_no_immigrants"].strategy == replace(EVOLUTION, immigrants=0)
    assert found["eavl_proportional"].strategy == replace(EVOLUTION, selection="proportionate")
    assert found["eavl_batch_norm_everywhere"].strategy == EVOLUTION
    spaces = {name: arm.space for name, arm in found.items()}
    assert {name for name, space in spaces.items() if space == everywhere} == {
        "random",
        "evo_cnn",
        "eavl_batch_norm_everywhere",
    }
    assert {arm.strategy.evaluations_in_all for name, arm in found.items() if name != "vgg16_bn"} == {
        EVOLUTION.evaluations_in_all
    }


def test_the_papers_random_search_may_draw_as_many_as_it_says():
    (step,) = steps_of(AblationStudy(arms=("random", "eavl"), random=1000), COMMON, {})
    assert arms(step)["random"].strategy.evaluations_in_all == 1000


def test_equal_worker_seconds_become_a_number_of_networks_once_the_evolution_has_ended():
    study = AblationStudy(arms=("random", "eavl"), random="seconds", seeds=(0, 1))
    first, second = steps_of(study, COMMON, {})
    assert set(arms(first)) == {"eavl"}
    ended = {("eavl", 0): Spent(90.0, (2.0, 4.0)), ("eavl", 1): Spent(0.0, (0.0, 0.0, 0.0))}
    drawn = [(one.seed, one.arm.strategy.evaluations_in_all) for one in second.members(ended)]
    assert drawn == [(0, 30), (1, 3)], (
        "by the mean price of random networks; at no price as many as there were"
    )


def test_an_ablation_of_something_else_than_the_evolution_is_refused():
    common = replace(COMMON, strategy=RandomSearchSettings())
    with pytest.raises(
        ConfigError, match=r"strategy\.name is 'random'; an ablation takes an evolution apart"
    ):
        steps_of(AblationStudy(arms=("eavl",)), common, {})


def test_origin_is_trained_with_batch_norm_everywhere_and_nowhere_by_each_optimizer():
    rates = LearningRates(sgd=0.5)
    study = BatchNormStudy(network="C8 B4 P | F4", optimizers=("sgd", "adam"), learning_rates=rates)
    (step,) = steps_of(study, COMMON, {"origin": ListedTrial("C8 B4 P | F4")})
    found = arms(step)
    networks = {"origin": "C8 B4 P | F4", "variant1": "B8 B4 P | F4", "variant2": "C8 C4 P | F4"}
    assert {name: arm.strategy for name, arm in found.items()} == {
        f"{name}-{optimizer}": listed(text)
        for name, text in networks.items()
        for optimizer in ("sgd", "adam")
    }
    assert found["variant1-sgd"].training == replace(COMMON.training, optimizer="sgd", learning_rate=0.5)
    assert found["origin-adam"].training == replace(COMMON.training, optimizer="adam", learning_rate=1e-4)
    assert len(step.members({})) == 3 * 2 * 5


def test_a_variant_is_held_against_origin_that_differs_by_its_batch_norms_alone():
    study = BatchNormStudy(network="C8 B4 |", optimizers=("sgd", "adam"), weights=("o", "v"))
    (step,) = steps_of(study, COMMON, {"origin": ListedTrial("C8 B4 |")})
    assert own_references(study, list(arms(step))) == {
        "origin-pretrained-sgd": "origin-sgd",
        "origin-pretrained-adam": "origin-adam",
        "variant1-sgd": "origin-sgd",
        "variant1-adam": "origin-adam",
        "variant1-pretrained-sgd": "origin-pretrained-sgd",
        "variant1-pretrained-adam": "origin-pretrained-adam",
        "variant2-sgd": "origin-sgd",
        "variant2-adam": "origin-adam",
    }
    assert own_references(AblationStudy(), ("vgg16_bn", "eavl")) == {}


@pytest.mark.parametrize(("origin", "left"), [("B8 B4 |", "variant2"), ("C8 |", "variant1")])
def test_a_variant_that_origin_is_itself_is_trained_once(origin, left):
    (step,) = steps_of(
        BatchNormStudy(network=origin, optimizers=("adam",)), COMMON, {"origin": ListedTrial(origin)}
    )
    assert set(arms(step)) == {"origin-adam", f"{left}-adam"}


def test_a_network_with_given_weights_is_trained_from_random_ones_too():
    study = BatchNormStudy(network="C8 B4 |", optimizers=("adam",), weights=("o.safetensors",))
    (step,) = steps_of(study, COMMON, {"origin": ListedTrial("C8 B4 |")})
    weights = {name: arm.strategy.trials[0].weights for name, arm in arms(step).items()}
    assert weights == {
        "origin-adam": None,
        "origin-pretrained-adam": "o.safetensors",
        "variant1-adam": None,
        "variant2-adam": None,
    }


@pytest.mark.parametrize(
    ("own", "expected"),
    [((), (f"C8 B4 | @ {64 * '0'}", "kept")), (("mine",), ("C8 B4 |", "mine"))],
)
def test_weights_that_origin_was_found_with_are_its_own_alone(own, expected):
    study = BatchNormStudy(network="digits", optimizers=("adam",), weights=own)
    origin = ListedTrial(f"C8 B4 | @ {64 * '0'}", weights="kept")
    (step,) = steps_of(study, COMMON, {"origin": origin})
    trials = {name: arm.strategy.trials[0] for name, arm in arms(step).items()}
    assert {name: (one.network, one.weights) for name, one in trials.items()} == {
        "origin-adam": ("C8 B4 |", None),
        "origin-pretrained-adam": expected,
        "variant1-adam": ("B8 B4 |", None),
        "variant2-adam": ("C8 C4 |", None),
    }


def test_an_arms_own_weights_win_over_those_that_its_network_was_found_with():
    names = ("digits", NamedNetwork("digits", "mine", "mine"))
    starts = {name: ListedTrial("vgg16", weights="kept") for name in ("digits", "mine")}
    (step,) = steps_of(BaselinesStudy(networks=names), COMMON, starts)
    assert [arm.strategy.trials[0].weights for arm in arms(step).values()] == ["kept", "mine"]
