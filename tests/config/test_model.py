from dataclasses import replace

import pytest

from evosearch.config import RunConfig, differing_keys
from evosearch.data import DigitsSettings
from evosearch.errors import ConfigError
from evosearch.evaluation import FinalSettings, TrainingSettings
from evosearch.genome import SearchSpace
from evosearch.runtime import WorkerSettings
from evosearch.search import EavlSettings, FixedListSettings, Halving, ListedTrial, RandomSearchSettings
from evosearch.storage import StorageSettings
from evosearch.studies import AblationStudy, BatchNormStudy

CONFIG = RunConfig("run", DigitsSettings())


def test_what_changes_the_result_differs_in_the_order_of_the_file():
    other = replace(
        CONFIG,
        seed=3,
        space=SearchSpace(channels=(8, 16)),
        strategy=EavlSettings(population=60, generations=5),
        training=TrainingSettings(threads=2, optimizer="sgd"),
    )
    assert differing_keys(CONFIG, other) == (
        "seed: 0 here, 3 in the journal",
        "space.channels: [50, 100] here, [8, 16] in the journal",
        "strategy.population: 50 here, 60 in the journal",
        "strategy.generations: 20 here, 5 in the journal",
        'training.optimizer: "adam" here, "sgd" in the journal',
        "training.threads: 1 here, 2 in the journal",
    )


def test_what_cannot_change_the_result_does_not_differ():
    other = RunConfig(
        "other",
        DigitsSettings(image_size=16),
        workers=WorkerSettings(count=3),
        storage=StorageSettings(artifacts="elsewhere"),
        final=FinalSettings(epochs=3),
    )
    assert differing_keys(CONFIG, other) == ()


def test_of_two_strategies_only_the_names_are_told():
    other = replace(CONFIG, strategy=RandomSearchSettings())
    assert differing_keys(CONFIG, other) == ('strategy.name: "eavl" here, "random" in the journal',)


def test_a_configuration_made_in_python_is_checked_too():
    with pytest.raises(ConfigError, match=r"^name: '\.\./x' cannot name a search"):
        RunConfig("../x", DigitsSettings())
    with pytest.raises(ConfigError, match=r"^seed is -1; it must be at least 0$"):
        RunConfig("x", DigitsSettings(), seed=-1)


HALVED = EavlSettings(halving=Halving((12, 35, 100), 0.4))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"training": TrainingSettings(epochs=90)},
            "strategy.halving.epochs ends with 100, but training.epochs is 90;",
        ),
        (
            {"training": TrainingSettings(patience=3)},
            "strategy.halving.epochs is [12, 35, 100] while training.patience is 3:",
        ),
        ({"study": AblationStudy()}, "strategy.halving.epochs is [12, 35, 100] in a study,"),
    ],
)
def test_halving_needs_whole_trainings_of_known_length(changed, told):
    assert replace(CONFIG, strategy=HALVED).objections() == []
    (line,) = replace(CONFIG, strategy=HALVED, **changed).objections()
    assert line.startswith(told)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"study": AblationStudy()}, "final.contenders is 3 in a study,"),
        (
            {"strategy": FixedListSettings(trials=(ListedTrial("resnet18"),))},
            "final.contenders is 3, but strategy.name is list,",
        ),
    ],
)
def test_contenders_are_of_a_search_that_chooses(changed, told):
    several = replace(CONFIG, final=FinalSettings(contenders=3))
    assert several.objections() == []
    (line,) = replace(several, **changed).objections()
    assert line.startswith(told)


def test_repeats_are_of_a_search_and_not_of_a_study():
    again = replace(CONFIG, strategy=EavlSettings(repeats=5))
    assert again.objections() == []
    (line,) = replace(again, study=AblationStudy()).objections()
    assert line.startswith("strategy.repeats is 5 in a study,")


def test_the_batch_norm_of_a_halved_searchs_best_may_be_studied():
    study = BatchNormStudy(network="mine")
    assert replace(CONFIG, strategy=HALVED, study=study).objections() == []


def test_a_retraining_needs_an_epoch():
    with pytest.raises(ConfigError, match=r"^final.epochs is 0; it must be at least 1$"):
        FinalSettings(epochs=0)
