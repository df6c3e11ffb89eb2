import json
import pickle
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evosearch.config import RunConfig, config_from_json, config_to_json, load_config, read_config
from evosearch.data import CovidCtSettings, DigitsSettings, ImageFolderSettings
from evosearch.errors import ConfigError
from evosearch.evaluation import FinalSettings, TrainingSettings
from evosearch.genome import SearchSpace
from evosearch.runtime import WorkerSettings
from evosearch.search import EavlSettings, RandomSearchSettings
from evosearch.storage import StorageSettings

SMALLEST = RunConfig("run", DigitsSettings())


def ranges(least):
    return st.tuples(st.integers(least, 900), st.integers(0, 900)).map(lambda pair: (pair[0], sum(pair)))


def positive():
    return st.integers(1, 10**12)


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
"""All that a configuration takes: a NUL character is refused."""

CONFIGURATIONS = st.builds(
    RunConfig,
    name=st.from_regex(r"[A-Za-z0-9_-]{1,50}(/[a-z0-9-]{1,40})?", fullmatch=True),
    data=st.builds(
        DigitsSettings,
        image_size=st.none() | st.integers(4, 4096),
        channels=st.sampled_from([None, 1, 3]),
        test_fraction=st.floats(0.01, 0.99),
        split_seed=st.integers(0),
    )
    | st.builds(CovidCtSettings, root=TEXT.filter(bool))
    | st.builds(
        ImageFolderSettings,
        root=TEXT.filter(bool),
        max_image_pixels=st.integers(1, 10**8),
    ),
    seed=st.integers(0),
    space=st.builds(
        SearchSpace,
        convolutions=ranges(1),
        channels=ranges(1),
        batch_norm=st.floats(0, 1),
        poolings=ranges(0),
        max_memory=st.none() | positive(),
    ),
    strategy=st.builds(EavlSettings, population=st.integers(20, 10**5), shrink_deviation=st.floats(0.01, 100))
    | st.builds(RandomSearchSettings, evaluations=st.integers(1, 10**5)),
    training=st.builds(
        TrainingSettings,
        epochs=positive(),
        learning_rate=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
        optimizer=st.sampled_from(["adam", "sgd", "adadelta", "rmsprop"]),
        deterministic=st.booleans(),
    ),
    workers=st.builds(
        WorkerSettings,
        count=st.none() | positive(),
        per_gpu=st.just("auto") | positive(),
        device=st.sampled_from(["auto", "cpu", "cuda"]),
    ),
    storage=st.builds(StorageSettings, journal=st.none() | TEXT),
    final=st.builds(FinalSettings, epochs=positive()),
)


@given(CONFIGURATIONS)
def test_a_configuration_survives_its_json_form(config):
    document = json.loads(json.dumps(config_to_json(config)))
    assert document == config_to_json(config)
    assert config_from_json(document) == config


@settings(max_examples=25)  # PyYAML takes milliseconds for each
@given(CONFIGURATIONS)
def test_the_json_form_written_to_a_file_gives_the_same_configuration(tmp_path_factory, config):
    path = tmp_path_factory.getbasetemp() / "round.yaml"
    path.write_text(json.dumps(config_to_json(config)), encoding="utf-8")
    assert load_config(path) == config


def test_the_least_file_gets_every_default_and_its_stem_as_name(write):
    assert load_config(write("data: {}")) == SMALLEST


def test_the_name_comes_from_the_argument_then_the_override_then_the_file(write):
    path = write("name: in-file\ndata: {}")
    assert load_config(path).name == "in-file"
    assert load_config(path, ["name=overridden"]).name == "overridden"
    assert load_config(path, ["name=overridden"], name="given/seed-3").name == "given/seed-3"


def test_overrides_apply_in_order(write):
    config = load_config(
        write("data: {}\ntraining:\n  epochs: 7\n"),
        ["training.learning_rate=1", "space.channels=[8,16]", "workers.address=null", "seed=1", "seed=2"],
    )
    assert config.training == TrainingSettings(epochs=7, learning_rate=1.0)
    assert config.space.channels == (8, 16)
    assert (config.seed, config.workers.address) == (2, None)


def test_a_whole_number_where_a_number_is_wanted_becomes_one(write):
    rate = load_config(write("data: {}\ntraining: {learning_rate: 1}")).training.learning_rate
    assert (rate, type(rate)) == (1.0, float)


def test_the_strategy_is_chosen_by_its_name_and_is_eavl_without_one(write):
    path = write("data: {}\nstrategy: {redraws: 5}")
    assert load_config(path).strategy == EavlSettings(redraws=5)
    assert load_config(path, ["strategy.name=random"]).strategy == RandomSearchSettings(redraws=5)
    assert load_config(path, ["strategy={name: random, evaluations: 3}"]).strategy == RandomSearchSettings(
        evaluations=3
    )


def test_the_source_is_chosen_by_its_name_and_is_digits_without_one(write):
    path = write("data: {image_size: 16}")
    assert load_config(path).data == DigitsSettings(image_size=16)
    assert load_config(path, ["data.name=image_folder", "data.root=pets"]).data == ImageFolderSettings(
        image_size=16, root="pets", beside=str(Path.cwd())
    )


def test_a_key_that_a_source_never_used_is_left_out_with_a_note(write):
    config, document = read_config(
        write("data:\n  name: digits\n  root: pets\n"), ["data.max_image_pixels=9"]
    )
    assert config.data == DigitsSettings()
    assert document.notes == (
        "run.yaml:3: data.root is not used here and left out; remove it",
        "--set data.max_image_pixels=9: data.max_image_pixels is not used here and left out; remove it",
    )
    assert document.values["data"] == {"name": "digits"}
    assert ("data", "root") not in document.places
    covid_ct, noted = read_config(write("data: {name: covid_ct, root: x, split_seed: 3}"))
    assert covid_ct.data == CovidCtSettings(root="x", beside=str(Path.cwd()))
    assert len(noted.notes) == 1


def test_a_relative_root_is_looked_for_beside_the_file_unless_the_file_says_where(write):
    text = "data: {name: image_folder, root: pets}"
    assert load_config(write(text)).data.beside == str(Path.cwd())
    assert load_config(write(text), ["data.beside=null"]).data.beside is None
    assert load_config(write(text), ["data.beside=elsewhere"]).data.beside == "elsewhere"
    assert load_config(write(text), ["data.root=/pets"]).data.beside is None


def test_the_sections_are_the_rooms_own_classes_and_stay_untouched(write):
    config = load_config(write("data: {}\nspace: {channels: [8, 16]}\ntraining: {epochs: 5}"))
    for field in fields(config):
        section = getattr(config, field.name)
        if is_dataclass(section):
            assert not [name for name in vars(type(section)) if "pydantic" in name]
            assert pickle.loads(pickle.dumps(section)) == section
    assert type(config.space) is SearchSpace
    assert config.space == SearchSpace(channels=(8, 16))
    assert hash(config) == hash(pickle.loads(pickle.dumps(config)))


def test_reading_a_journals_configuration_leaves_it_alone():
    document = {"name": "x", "data": {}, "strategy": {"redraws": 5}}
    config_from_json(document)
    assert document == {"name": "x", "data": {}, "strategy": {"redraws": 5}}


def test_the_json_form_that_is_journaled_has_no_password():
    mine = replace(SMALLEST, storage=StorageSettings("postgresql://me:secret@host/db", "s3://bucket/x"))
    document = config_to_json(mine)
    assert document["storage"] == {"journal": "postgresql://me@host/db", "artifacts": "s3://bucket/x"}


def test_a_journals_configuration_of_another_version_is_refused():
    document = config_to_json(SMALLEST) | {"surrogate": {}}
    with pytest.raises(
        ConfigError, match=r"^the journal's configuration: surrogate is unknown; known are name"
    ):
        config_from_json(document)
