"""Every shipped configuration is loaded, and agrees with the schema that editors use."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from evosearch.config import RunConfig, config_from_json, config_schema, config_to_json, load_config
from evosearch.config.strict_yaml import parse
from evosearch.data import CovidCtSettings
from evosearch.evaluation import TrainingSettings
from evosearch.search import RandomSearchSettings

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = sorted(CONFIGS.rglob("*.yaml"))
SCHEMA = config_schema()


def validate(text):
    jsonschema.Draft202012Validator(SCHEMA).validate(parse(text, str)[0])


def test_every_file_in_configs_is_tested_here():
    assert len(SHIPPED) == 30
    everything = {path for path in CONFIGS.rglob("*") if path.is_file()}
    assert everything == {*SHIPPED, CONFIGS / "schema.json"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_configuration_loads_and_survives_its_json_form(path):
    config = load_config(path)
    assert config_from_json(config_to_json(config)) == config
    assert path.stem == config.name


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_configuration_obeys_the_schema_it_names(path):
    text = path.read_text(encoding="utf-8")
    above = "../" * (len(path.relative_to(CONFIGS).parts) - 1)
    assert text.splitlines()[0] == f"# yaml-language-server: $schema={above}schema.json"
    validate(text)


def test_what_the_template_offers_in_comments_may_be_taken(tmp_path):
    file, text = tmp_path / "my.yaml", (CONFIGS / "image_folder.yaml").read_text(encoding="utf-8")
    offered = r"^( *)# ?((?:halving|precision|contenders|workers|  count|  per_gpu):)"
    file.write_text(re.sub(offered, r"\1\2", text, flags=re.MULTILINE))
    config = load_config(file)
    assert config.strategy.halving.epochs == (2, 5, 10)
    assert (config.training.precision, config.final.contenders) == ("fp32", 3)
    assert (config.workers.count, config.workers.per_gpu) == (4, "auto")


def test_the_papers_protocol_is_the_defaults_written_out():
    config = load_config(CONFIGS / "covid_ct.yaml")
    data = CovidCtSettings(root="covid-ct", image_size=224, channels=3, beside=str(CONFIGS))
    training = TrainingSettings(precision="fp32")  # ours is auto by default
    assert config == RunConfig("covid_ct", data, training=training)
    written, _ = parse((CONFIGS / "covid_ct.yaml").read_text(encoding="utf-8"), str)
    for section in ("space", "strategy", "training", "workers", "final"):
        assert list(written[section]) == list(config_to_json(config)[section])


@pytest.mark.parametrize("name", ["pneumoniamnist", "cifar10", "cifar10_folder", "cifar100", "stl10"])
def test_other_sets_are_searched_by_the_papers_protocol(name):
    config, paper = load_config(CONFIGS / f"{name}.yaml"), load_config(CONFIGS / "covid_ct.yaml")
    assert (config.strategy, config.training, config.final) == (paper.strategy, paper.training, paper.final)
    sides, least = config.data.image.height, config.space.poolings[1]
    assert sides >> least >= 1  # so many halvings leave a pixel
    assert replace(config.space, poolings=paper.space.poolings) == paper.space


def test_random_search_competes_with_the_small_search_on_equal_terms():
    evolved, drawn = load_config(CONFIGS / "covid_ct_small.yaml"), load_config(CONFIGS / "random_search.yaml")
    assert (evolved.data, evolved.training) == (drawn.data, drawn.training)
    assert isinstance(drawn.strategy, RandomSearchSettings)
    born = evolved.strategy.population - evolved.strategy.elites
    assert (
        drawn.strategy.evaluations == evolved.strategy.population + (evolved.strategy.generations - 1) * born
    )


def test_the_schema_file_is_in_step_with_the_code():
    written = json.loads((CONFIGS / "schema.json").read_text(encoding="utf-8"))
    assert written == SCHEMA, "renew it: make docs"


def test_the_command_writes_the_schema_file():
    done = subprocess.run(
        [sys.executable, "-m", "evosearch.config"], capture_output=True, check=True, text=True
    )
    assert done.stdout == (CONFIGS / "schema.json").read_text(encoding="utf-8")


def test_the_schema_tells_an_editor_words_defaults_and_shapes():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    channels = SCHEMA["$defs"]["SearchSpace"]["properties"]["channels"]
    assert channels == {
        "default": [50, 100],
        "description": "Output channels of each convolution.",
        "maxItems": 2,
        "minItems": 2,
        "prefixItems": [{"type": "integer"}, {"type": "integer"}],
        "type": "array",
    }
    for definition in SCHEMA["$defs"].values():
        assert all("description" in field for field in definition["properties"].values())


@pytest.mark.parametrize(
    "strategy", ["{redraws: 5}", "{}", "{name: random, redraws: 5}", "{name: eavl, phi: 3}"]
)
def test_the_schema_accepts_each_strategy(strategy):
    validate(f"data: {{}}\nstrategy: {strategy}")


@pytest.mark.parametrize(
    "text",
    [
        "seed: 0",
        "data: {}\nepochs: 5",
        "data: {}\nstrategy: {popluation: 5}",
        "data: {}\nstrategy: {evaluations: 5}",
        "data: {}\nstrategy: {name: random, population: 5}",
        "data: {}\nspace: {channels: [1]}",
        "data: {}\nspace: {channels: [1, 2, 3]}",
        "data: {}\ntraining: {optimizer: adm}",
    ],
)
def test_the_schema_refuses_what_loading_refuses(text):
    with pytest.raises(jsonschema.ValidationError):
        validate(text)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("studies/*.yaml")), ids=lambda path: path.stem)
def test_a_studys_file_is_of_the_kind_that_its_name_says(path):
    study = load_config(path).study
    assert study is not None
    if path.stem.endswith("_search"):  # what searches are compared on
        assert study.kind == "ablation"
    elif path.stem.startswith("better_"):  # what `bench better` measures
        assert study.kind == "baselines"
    else:
        assert path.stem.partition("_")[0] == study.kind


def test_the_small_baselines_have_the_papers_large_networks_among_six_and_two_seeds():
    study = load_config(CONFIGS / "studies" / "baselines_small.yaml").study
    assert {"resnet152", "inception_v3", "vgg16_bn"} <= set(study.networks)
    assert len(study.networks) >= 6
    assert len(study.seeds) == 2
