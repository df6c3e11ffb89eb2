"""Lists of networks through the Python API: hand-made ones, given weights, and other searches' best."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from evosearch.blueprint import NetworkSize
from evosearch.config import config_from_json, load_config, read_config
from evosearch.errors import ConfigError, InputError, SearchConflictError
from evosearch.evaluation import TrainingTask
from evosearch.genome import parse_network, weights_of
from evosearch.listed import digest_of, listed_trial
from evosearch.search import FixedListSettings, ListedTrial, repeats_of
from evosearch.storage import Born, SearchCreated
from evosearch.testing import FormulaEvaluator
from tests.finished_search import script_workers

SIZE = NetworkSize(layers=60, parameters=11_000_000, flops=70_000_000, activations=90_000)


class Measuring:
    """Stands in for `workers.measure_sizes`, and notes what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, networks, problem):
        self.asked += networks
        return (SIZE,) * len(networks)


class Seeing(FormulaEvaluator):
    """A double that notes its trainings."""

    tasks: list[TrainingTask] = []  # noqa: RUF012 - a frozen dataclass's, emptied for each test

    def handle(self, task, *rest):
        if isinstance(task, TrainingTask):
            self.tasks.append(task)
        return super().handle(task, *rest)


@pytest.fixture
def measuring(api):
    """The home's searches train on doubles, and networks are measured by one."""
    Seeing.tasks.clear()
    script_workers(api, Seeing())
    found = Measuring()
    api.give(measure_sizes=found)
    return found


def listing(config, *trials, name="tiny"):
    return replace(config, name=name, strategy=FixedListSettings(trials=trials))


def trials_of(home, name="tiny"):
    return config_from_json(home.find_search(name).configuration).strategy.trials


def weights(path="given.safetensors", value=0.0, metadata=None):
    save_file({"features.0.bias": np.full(64, value, np.float32)}, path, metadata)
    return digest_of(Path(path))


def facts(home, kind, name="tiny"):
    return [one.event for one in home.journal.replay(name) if isinstance(one.event, kind)]


# Sizes


def test_hand_made_networks_are_measured_once_before_the_list_is_begun(home, config, api, measuring):
    listed = listing(config, ListedTrial("resnet18"), ListedTrial("resnet18", 1), ListedTrial("C8 P | F4"))
    api.run(listed, home, executor="local")
    assert [one.network for one in measuring.asked] == ["resnet18"]
    (created,) = facts(home, SearchCreated)
    assert [one.size for one in config_from_json(created.configuration).strategy.trials] == [SIZE, SIZE, None]
    assert [born.parameters for born in facts(home, Born)][:2] == [SIZE.parameters] * 2
    assert [row.flops for row in home.journal.evaluations("tiny")][:2] == [SIZE.flops] * 2


def test_the_same_list_again_is_measured_no_more_and_trains_nothing(home, config, api, measuring):
    listed = listing(config, ListedTrial("resnet18"))
    ended = api.run(listed, home, executor="local")
    assert api.run(listed, home, executor="local") == ended
    assert len(measuring.asked) == len(Seeing.tasks) == 1


def test_of_a_longer_list_what_is_new_is_measured(home, config, api, measuring):
    first, second = ListedTrial("resnet18"), ListedTrial("vgg16")
    api.run(listing(config, first), home, executor="local")
    api.run(listing(config, first, second), home, executor="local")
    assert [one.network for one in measuring.asked] == ["resnet18", "vgg16"]
    assert [one.size for one in trials_of(home)] == [SIZE, SIZE]


def test_the_seeds_of_a_group_are_measured_together(home, config, api, measuring):
    listed = listing(config, ListedTrial("resnet18"), ListedTrial("vgg16"))
    api.run_group(listed, (0, 1, 2), home, executor="local")
    assert [one.network for one in measuring.asked] == ["resnet18", "vgg16"]
    assert trials_of(home, "tiny/seed-2")[1].size == SIZE


def test_chromosomes_alone_need_no_measuring(home, config, api, measuring):
    api.run(replace(config, strategy=repeats_of("C8 P | F4", (0, 1))), home, executor="local")
    assert not measuring.asked


def test_what_a_list_goes_by_is_not_changed_by_lengthening_it(home, config, api, measuring):
    first, second = ListedTrial("C8 |"), ListedTrial("C9 |")
    api.run(listing(config, first), home, executor="local")
    other = replace(listing(config, first, second).strategy, fitness="f1")
    with pytest.raises(SearchConflictError, match=r"strategy\.fitness"):
        api.run(replace(config, strategy=other), home, executor="local")


# Lists of earlier versions


def test_a_list_without_the_key_goes_on_with_networks_as_torchvision_draws_them(home, config, api, measuring):
    listed = listing(config, ListedTrial("resnet18"))
    earlier = replace(listed, strategy=replace(listed.strategy, hand_made="torchvision"))
    api.run(earlier, home, executor="local")
    journaled = json.loads(json.dumps(home.find_search("tiny").configuration))
    del journaled["strategy"]["hand_made"]
    for trial in journaled["strategy"]["trials"]:
        for key in ("size", "weights", "best_of"):
            del trial[key]
    assert config_from_json(journaled).strategy == earlier.strategy
    assert [task.hand_made for task in Seeing.tasks] == ["torchvision"]
    assert not measuring.asked


# Given weights


def test_given_weights_become_part_of_the_network_and_are_kept_with_the_search(home, config, api, measuring):
    digest = weights()
    api.run(listing(config, ListedTrial("vgg16", weights="given.safetensors")), home, executor="local")
    (trial,) = trials_of(home)
    assert (trial.network, trial.weights) == (f"vgg16 {digest}", "given.safetensors")
    kept = home.folder_of("tiny") / "weights" / f"{digest}.safetensors"
    assert digest_of(kept) == digest
    assert [Path(task.start) for task in Seeing.tasks] == [kept]
    assert [one.weights for one in measuring.asked] == [str(Path("given.safetensors").resolve())]


def test_once_they_are_kept_the_file_itself_may_go(home, config, api, measuring):
    weights()
    listed = listing(config, ListedTrial("vgg16", weights="given.safetensors"))
    ended = api.run(listed, home, executor="local")
    Path("given.safetensors").unlink()
    assert api.run(listed, home, executor="local") == ended
    longer = listing(config, *listed.strategy.trials, ListedTrial("vgg16", 1, weights="given.safetensors"))
    with pytest.raises(ConfigError, match=r"there is no file of weights 'given\.safetensors'"):
        api.run(longer, home, executor="local")


def test_other_weights_are_another_network(home, config, api, measuring):
    weights()
    listed = listing(config, ListedTrial("vgg16", weights="given.safetensors"))
    api.run(listed, home, executor="local")
    weights(value=1.0)
    with pytest.raises(SearchConflictError, match=r"another configuration: strategy\.trials"):
        api.run(listed, home, executor="local")


def test_weights_are_found_under_evosearch_data(home, config, api, measuring, tmp_path, monkeypatch):
    (tmp_path / "stored").mkdir()
    digest = weights("stored/given.safetensors")
    monkeypatch.setenv("EVOSEARCH_DATA", str(tmp_path / "stored"))
    api.run(listing(config, ListedTrial("vgg16", weights="given.safetensors")), home, executor="local")
    assert trials_of(home)[0].network == f"vgg16 {digest}"


def test_weights_that_are_nowhere_or_none_are_refused_and_nothing_is_begun(home, config, api, measuring):
    listed = listing(config, ListedTrial("vgg16", weights="given.safetensors"))
    with pytest.raises(
        ConfigError, match=r"there is no file of weights 'given\.safetensors'; a relative path"
    ):
        api.run(listed, home, executor="local")
    abroad = listing(config, ListedTrial("vgg16", weights="~nobody-here/given.safetensors"))
    with pytest.raises(ConfigError, match=r"there is no file of weights '~nobody-here/given\.safetensors'"):
        api.run(abroad, home, executor="local")
    Path("given.safetensors").write_text("no weights")
    with pytest.raises(ConfigError, match="is no readable safetensors file of weights"):
        api.run(listed, home, executor="local")
    with pytest.raises(ConfigError, match="nothing says where the weights with the sha256 0000"):
        api.run(listing(config, ListedTrial("vgg16 " + "0" * 64)), home, executor="local")
    assert not home.journal.searches()


def test_weights_of_another_network_are_refused_tensor_by_tensor(home, config, api, scripted):
    weights()
    listed = listing(config, ListedTrial("resnet18", weights="given.safetensors"))
    with pytest.raises(
        InputError, match=r"'resnet18 .*' cannot start .*: features\.0\.bias is not in the network"
    ):
        api.run(listed, home, executor="local")
    assert not home.journal.searches()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "imagenet"),
        ("\ntraining: {epochs: 1, normalize: unit}", "unit"),
        ("\ntraining: {epochs: 1, normalize: standard}", "standard"),
    ],
)
def test_with_given_weights_images_are_normalised_as_imagenets_unless_it_is_said(
    home, config, api, measuring, text, expected
):
    weights()
    trials = "[{network: vgg16, weights: given.safetensors}, {network: C8 P | F4}]"
    Path("l.yaml").write_text(f"data: {{name: digits}}\nstrategy: {{name: list, trials: {trials}}}{text}\n")
    loaded, source = read_config(Path("l.yaml"), [], name=None)
    for _ in range(2):  # the second time it is the same search
        api.run(loaded, home, source=source, executor="local")
    assert [task.settings.normalize for task in Seeing.tasks] == [expected, loaded.training.normalize]


def test_a_winner_of_ours_says_itself_what_it_was_trained_on(home, config, api, measuring):
    weights(metadata={"deviation": "[255.0]"})
    api.run(listing(config, ListedTrial("vgg16", weights="given.safetensors")), home, executor="local")
    assert [task.settings.normalize for task in Seeing.tasks] == ["unit"]


# Another search's best


def test_the_best_of_a_finished_search_can_be_listed_by_its_name(home, config, api, measuring):
    best = api.run(config, home, executor="local").best
    listed = listing(config, listed_trial("tiny"), listed_trial("C8 |"), name="list")
    for _ in range(2):
        api.run(listed, home, executor="local")
    first, second = trials_of(home, "list")
    assert (first.network, first.best_of) == (best.chromosome, "tiny")
    assert (second.network, second.best_of) == ("C8 |", None)


def test_given_weights_come_with_it(home, config, api, measuring):
    digest = weights()
    api.run(listing(config, ListedTrial("vgg16", weights="given.safetensors")), home, executor="local")
    Path("given.safetensors").unlink()
    api.run(listing(config, ListedTrial(best_of="tiny"), name="list"), home, executor="local")
    assert trials_of(home, "list")[0].network == f"vgg16 {digest}"
    assert digest_of(home.folder_of("list") / "weights" / f"{digest}.safetensors") == digest


def test_a_search_that_is_not_there_or_not_finished_has_no_best(home, config, api, measuring):
    with pytest.raises(SearchConflictError, match="'nobody'"):
        api.run(listing(config, listed_trial("nobody"), name="list"), home, executor="local")
    with pytest.raises(ConfigError, match=r"the best of 'nobody' is not known here"):
        listing(config, listed_trial("nobody")).strategy.make(None)
    with pytest.raises(ConfigError, match=r"'C8 \|\| P' .*|nor is it the name"):
        listed_trial("no search/at/all")


# Retrainings


def test_a_retraining_may_start_from_given_weights_and_is_another_one(home, config, api, measuring):
    best = api.run(config, home, executor="local").best
    (plain,) = api.retrain("tiny", home, epochs=2)
    digest = weights()
    (started,) = api.retrain("tiny", home, epochs=2, weights="given.safetensors")
    assert (started.key == plain.key, started.number) == (False, plain.number)
    assert [one.network for one in trials_of(home, "tiny/final-2")] == [
        best.chromosome,
        f"{best.chromosome} @ {digest}",
    ]
    assert Seeing.tasks[-1].start.endswith(f"tiny/final-2/weights/{digest}.safetensors")
    trained = len(Seeing.tasks)
    assert api.retrain("tiny", home, epochs=2, weights="given.safetensors")[0].key == started.key
    assert len(Seeing.tasks) == trained


def test_a_retraining_of_a_listed_network_starts_from_what_that_started_from(home, config, api, measuring):
    digest = weights()
    api.run(listing(config, ListedTrial("vgg16", weights="given.safetensors")), home, executor="local")
    Path("given.safetensors").unlink()
    api.retrain("tiny", home, epochs=2)
    (trial,) = trials_of(home, "tiny/final-2")
    assert (weights_of(parse_network(trial.network)), trial.size) == (digest, SIZE)
    assert len(measuring.asked) == 1
    assert Seeing.tasks[-1].start.endswith(f"tiny/final-2/weights/{digest}.safetensors")


@pytest.mark.slow  # two real workers and a network of 1.2 million weights
def test_hand_made_and_pretrained_networks_train_and_are_read_as_all_others_are(home, config, api):
    trials = (ListedTrial("squeezenet1_1"), ListedTrial("C4 P | F4"))
    listed = replace(listing(config, *trials), training=replace(config.training, batch_size=64))
    ended = api.run(listed, home, executor="local")
    sizes = [row.parameters for row in home.journal.evaluations("tiny")]
    assert sizes[0] is not None and sizes[0] > 700_000
    (reading,) = api.retrain("tiny", home, epochs=1)
    winner = home.folder_of("tiny") / "winner.safetensors"
    (again,) = api.retrain("tiny", home, epochs=1, weights=str(winner))
    assert reading.metrics and again.metrics and ended.best is not None
    assert reading.metrics != again.metrics


def test_a_list_in_a_file_reads_as_it_is_written(home, config):
    Path("l.yaml").write_text("data: {name: digits}\nstrategy: {name: list, trials: [{best_of: tiny}]}\n")
    assert load_config(Path("l.yaml")).strategy.trials == (ListedTrial(best_of="tiny"),)
