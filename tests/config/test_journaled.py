"""A configuration that was journaled keeps the meaning it was begun with, whatever has changed since."""

import json
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType

import pytest

from evosearch.config import (
    RunConfig,
    agreeing,
    check_new,
    config_from_json,
    config_to_json,
    differing_keys,
    load_config,
    objections,
    read_config,
    with_earlier_defaults,
)
from evosearch.data import SOURCES, DigitsSettings
from evosearch.errors import ConfigError
from evosearch.evaluation import TrainingSettings
from evosearch.runtime import WorkerSettings
from evosearch.search import FixedListSettings, ListedTrial

FIRST = json.loads(Path(__file__, "../assets/configurations-0.1.0.json").resolve().read_text("utf-8"))
"""As version 0.1.0 journaled them: the shipped files, all defaults, and the largest numbers it took. Never renewed."""

SINCE: dict[str, object] = {
    "workers.checkpoint_minutes": None,
    "workers.mps": "off",
    "data.positive": None,
    "final.seeds": 1,
    "final.fit": "train",
    "final.patience": None,
    "final.threshold": "half",
    "final.positive_share": None,
    "training.class_weights": "none",
    "training.augment": "none",
    "training.patience": None,
    "training.fit": "train",
    "final.contenders": 1,
    "final.contender_trainings": 3,
    "training.class_dropout": None,
    "training.dropout_units": "uniform",
    "data.exclude_twins": False,
}
"""Every key that came after version 0.1.0, with what a journal without it means: a new key has its line here."""
OF_FILES = {"data.beside": None, "data.follow_links": False, "data.neutral": False}
SINCE_OF_SOURCE: dict[str, dict[str, object]] = {
    "digits": {},
    "covid_ct": OF_FILES,
    "image_folder": {**OF_FILES, "data.recursive": False, "data.group": "none", "data.window": "full"},
}
"""The same of each source."""
SINCE_OF_STRATEGY: dict[str, dict[str, object]] = {
    "eavl": {
        "strategy.fitness": "accuracy",
        "strategy.selection": "squared",
        "strategy.balance": True,
        "strategy.halving": None,
        "strategy.repeats": 0,
    },
    "random": {"strategy.fitness": "accuracy"},
}
"""The same of each strategy."""


def flat(document, path=""):
    """Every key with its dotted path."""
    for key, value in document.items():
        if isinstance(value, dict):
            yield from flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


@pytest.mark.parametrize("name", FIRST)
def test_what_the_first_version_journaled_means_what_it_meant(name):
    never = [f"data.{key}" for key in SOURCES.find(FIRST[name]["data"]["name"]).never_used]
    known = {key: value for key, value in flat(FIRST[name]) if key not in never}
    now = dict(flat(config_to_json(config_from_json(FIRST[name]))))
    assert {key: now[key] for key in known} == known
    since = (
        SINCE
        | SINCE_OF_SOURCE[FIRST[name]["data"]["name"]]
        | SINCE_OF_STRATEGY[FIRST[name]["strategy"]["name"]]
    )
    assert {key: value for key, value in now.items() if key not in known} == since


def test_every_shipped_file_of_the_first_version_is_among_them():
    shipped = {"covid_ct", "covid_ct_small", "digits", "image_folder", "random_search"}
    assert set(FIRST) == shipped | {"defaults", "extreme"}


def test_what_was_accepted_once_is_read_and_only_refused_to_new_searches():
    extreme = config_from_json(FIRST["extreme"])
    assert extreme.seed == 2**70
    with pytest.raises(ConfigError, match=r"^seed is 1180591620717411303424; it must be below 4,294,967,296"):
        check_new(extreme, None)


def test_a_seed_whose_numbers_another_one_draws_is_refused_where_it_was_given(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("data: {}\nseed: 4294967296\n")
    config, source = read_config(path)
    with pytest.raises(ConfigError, match=r"run.yaml:2: seed is 4294967296; it must be below 4,294,967,296"):
        check_new(config, source)
    check_new(*read_config(path, ["seed=4294967295"]))
    assert objections(load_config(path, ["seed=0"])) == ()


@pytest.mark.parametrize("name", ["digits/final-30", "a" * 101])
def test_a_name_that_only_a_retraining_has_is_refused_where_it_was_given_and_a_retraining_goes_on_with_it(
    tmp_path, name
):
    path = tmp_path / "run.yaml"
    path.write_text(f"data: {{}}\nname: {name}\n")
    config, source = read_config(path)
    with pytest.raises(ConfigError, match=rf"run.yaml:2: name: '{name}' cannot name a search"):
        check_new(config, source)
    assert objections(config) == ()


@pytest.fixture
def changed(monkeypatch):
    """The default of `training.precision` was bf16 before there was the key, and `training.threads` has had two others;
    `seed` was 3.
    """

    def since(record, key, **metadata):
        field = next(one for one in fields(record) if one.name == key)
        monkeypatch.setattr(field, "metadata", MappingProxyType(metadata))

    since(TrainingSettings, "precision", absent="bf16")
    since(TrainingSettings, "threads", earlier=(4, 2))
    since(RunConfig, "seed", absent=3)


@pytest.mark.usefixtures("changed")
def test_a_missing_key_means_what_its_absence_did():
    least = config_from_json({"name": "x", "data": {}})
    assert (least.training, least.seed) == (TrainingSettings(precision="bf16"), 3)
    given = {"name": "x", "data": {}, "seed": 0, "training": {"precision": "fp32", "epochs": 5}}
    assert config_from_json(given) == RunConfig(
        "x",
        DigitsSettings(),
        training=TrainingSettings(epochs=5, precision="fp32"),
        workers=WorkerSettings(checkpoint_minutes=None, mps="off"),
    )
    partly = config_from_json({"name": "x", "data": {}, "training": {"epochs": 5}})
    assert partly.training == TrainingSettings(epochs=5, precision="bf16")


@pytest.mark.usefixtures("changed")
def test_a_default_that_changed_since_is_taken_from_the_journal_where_nobody_gave_the_key(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("data: {}\ntraining: {epochs: 5}\n")
    begun = config_from_json({"name": "x", "data": {}, "training": {"epochs": 5, "threads": 2}})
    config, source = read_config(path)
    assert (config.training.precision, config.training.threads, config.seed) == ("auto", 1, 0)
    assert with_earlier_defaults(config, begun, source.places) == begun


@pytest.mark.usefixtures("changed")
@pytest.mark.parametrize("given", ["training.precision=fp32", "training.threads=1", "seed=0", "training={}"])
def test_a_key_that_was_given_stays(given, tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("data: {}\n")
    begun = config_from_json({"name": "x", "data": {}, "training": {"threads": 2}})
    config, source = read_config(path, [given])
    kept = with_earlier_defaults(config, begun, source.places)
    if given == "training={}":
        assert kept == begun
    else:
        section = kept if given.startswith("seed") else kept.training
        key, _, value = given.rpartition(".")[2].partition("=")
        assert str(getattr(section, key)) == value
        assert kept != begun


@pytest.mark.usefixtures("changed")
def test_a_value_that_never_was_a_default_stays_different(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("data: {}\nseed: 3\ntraining: {precision: bf16}\n")
    config, source = read_config(path)
    begun = replace(config, training=replace(config.training, threads=3, epochs=7))
    assert with_earlier_defaults(config, begun, source.places) == config


@pytest.mark.usefixtures("changed")
def test_a_configuration_made_in_python_gives_every_key():
    config = RunConfig("x", DigitsSettings())
    begun = config_from_json({"name": "x", "data": {}})
    assert with_earlier_defaults(config, begun, None) == config


@pytest.mark.usefixtures("changed")
def test_another_strategys_keys_are_left_alone():
    begun = config_from_json({"name": "x", "data": {}, "strategy": {"name": "random"}})
    config = config_from_json({"name": "x", "data": {}})
    assert with_earlier_defaults(config, begun, ()).strategy == config.strategy


def test_pictures_of_a_search_that_began_before_are_read_as_they_were_where_its_file_says_nothing_else(
    tmp_path,
):
    path = tmp_path / "x.yaml"
    path.write_text("data: {name: image_folder, root: pets}\n")
    begun = config_from_json(FIRST["image_folder"] | {"data": {"name": "image_folder", "root": "pets"}})
    config, source = read_config(path)
    assert (config.data.recursive, config.data.window, config.data.beside) == (True, "auto", str(tmp_path))
    kept = with_earlier_defaults(config, begun, source.places).data
    assert kept == begun.data
    assert (kept.recursive, kept.window, kept.beside) == (False, "full", None)
    config, source = read_config(path, ["data.window=auto"])
    assert with_earlier_defaults(config, begun, source.places).data.window == "auto"


def test_a_section_that_is_none_is_told():
    with pytest.raises(ConfigError, match=r"^the journal's configuration: training is 3"):
        config_from_json({"name": "x", "data": {}, "training": 3})


# Precision


@pytest.mark.parametrize(
    ("given", "journaled", "means", "found"),
    [
        ("auto", "fp32", None, "fp32"),
        ("auto", "bf16", None, "bf16"),
        ("auto", "auto", "bf16", "auto"),
        ("bf16", "auto", "bf16", "auto"),
        ("fp32", "auto", "bf16", "fp32"),
        ("bf16", "auto", None, "bf16"),
        ("fp32", "bf16", None, "fp32"),
    ],
)
def test_auto_differs_from_no_journaled_precision_and_what_is_named_not_from_what_auto_means(
    given, journaled, means, found
):
    def made(precision):
        training = TrainingSettings(precision=precision)
        trials = (ListedTrial("C8 |"), ListedTrial("C8 |", settings=training))
        return RunConfig("x", DigitsSettings(), strategy=FixedListSettings(trials=trials), training=training)

    agreed = agreeing(made(given), made(journaled), means)
    assert agreed == made(found)
    assert (not differing_keys(agreed, made(journaled))) == (found == journaled)


def test_a_journal_that_does_not_say_its_precision_has_fp32():
    assert config_from_json({"name": "x", "data": {}}).training.precision == "fp32"
    assert config_from_json({"name": "x", "data": {}, "training": {"epochs": 5}}).training.precision == "fp32"
