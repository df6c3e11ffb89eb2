"""The section `study` of a configuration."""

import pytest

from evosearch.config import config_from_json, config_to_json, objections, read_config
from evosearch.errors import ConfigError
from evosearch.studies import BaselinesStudy, BatchNormStudy, NamedNetwork

FILE = """
data: {name: digits}
study:
  kind: baselines
  seeds: [0, 1]
  networks: [evolved, resnet18, {network: "C8 P | F4", name: mine}, digits/seed-0]
"""


@pytest.mark.parametrize(
    ("override", "told"),
    [
        (
            "study.networks=[{network: evolved, weights: w}]",
            "study.networks has evolved with the weights 'w'; what a search finds starts from random ones",
        ),
        (
            "study={kind: batchnorm, network: P | F4}",
            "study.network is 'P | F4', without a convolution; give one",
        ),
    ],
)
def test_what_would_compare_nothing_is_no_new_study(read, override, told):
    config = read(override)
    (line,) = objections(config)
    assert line.startswith(told)
    assert config_from_json(config_to_json(config)) == config, "what is journaled is read for ever"


@pytest.mark.parametrize("network", ["C8 |", "digits/seed-0", f"B8 | @ {64 * '0'}"])
def test_a_batch_norm_study_may_be_of_any_network_with_a_convolution(read, network):
    assert objections(read(f"study={{kind: batchnorm, network: '{network}'}}")) == ()


@pytest.fixture
def read(tmp_path):
    def read_with(*overrides):
        path = tmp_path / "compare.yaml"
        path.write_text(FILE)
        return read_config(path, overrides)[0]

    return read_with


def test_a_study_is_read_and_survives_its_json_form(read):
    config = read()
    mine = NamedNetwork("C8 P | F4", "mine")
    assert config.study == BaselinesStudy(
        seeds=(0, 1), networks=("evolved", "resnet18", mine, "digits/seed-0")
    )
    assert [one.name for one in config.study.entries] == ["evolved", "resnet18", "mine", "digits-seed-0"]
    assert config_from_json(config_to_json(config)) == config


def test_a_configuration_without_a_study_is_journaled_as_before_there_were_any(read):
    config = read("study=null")
    assert config.study is None
    assert "study" not in config_to_json(config)
    assert config_from_json(config_to_json(config)) == config


def test_each_optimizer_of_the_batch_norm_study_has_its_own_learning_rate(read):
    study = read("study={kind: batchnorm, network: C8 |, learning_rates: {sgd: 0.5}}").study
    assert isinstance(study, BatchNormStudy)
    assert study.seeds == (0, 1, 2, 3, 4)
    assert [study.learning_rates.of(one) for one in study.optimizers] == [0.5, 1.0, 1e-4, 1e-4]


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("study.kind=dance", 'study.kind is "dance"; expected baselines, ablation, batchnorm or dropout'),
        ("study={seeds: [0]}", "study.kind is missing; expected baselines, ablation, batchnorm or dropout"),
        ("study.arms=[eavl]", "study.arms is unknown; it belongs to study.kind ablation; known here are"),
        (
            "study.networks=[{network: resnet18, nam: x}]",
            "study.networks[0].nam is unknown; did you mean study.networks[0].name?",
        ),
        ("study.networks=[a b]", "study.networks has 'a b'; give evolved, a chromosome"),
        ("study.networks=[C0 |]", "study.networks: "),
        ("study.networks=[]", "study.networks is empty; name a network"),
        ("study.networks=[resnet18, resnet18]", "study.networks has resnet18 twice; give one another `name`"),
        (
            "study.networks=[{network: resnet18, name: ../x}]",
            "study.networks has the name '../x'; use up to 40",
        ),
        ("study.seeds=[]", "study.seeds holds 0 seeds; it must be at least 1"),
        ("study.seeds=[1, 1]", "study.seeds has 1 twice; name each once"),
        ("study.seeds=[-1]", "study.seeds has -1; a seed is at least 0"),
        ("study={kind: ablation, arms: [dance]}", 'study.arms[0] is "dance"; expected vgg16_bn, random'),
        ("study={kind: ablation, random: 0}", "study.random is 0; it must be at least 1"),
        ("study={kind: baselines, given: twice}", 'study.given is "twice"; expected once or seconds'),
        (
            "study={kind: baselines, given: seconds, networks: [resnet18]}",
            'study.given is "seconds", those of the search for evolved, which study.networks lacks; add it',
        ),
        (
            "study={kind: baselines, given: seconds, networks: [evolved, vgg16, {network: C8 |, name: vgg16-once}]}",
            "study.networks has vgg16-once, which is what the first training of vgg16 is called; give it another `name`",
        ),
        (
            "study={kind: ablation, random: seconds, arms: [random]}",
            'study.random is "seconds", those of the arm',
        ),
        ("study={kind: batchnorm, network: resnet18}", "study.network is 'resnet18'; give a chromosome"),
        ("study={kind: batchnorm, network: ''}", "study.network is ''; give a chromosome"),
        (
            "study={kind: batchnorm, learning_rates: {adm: 1}}",
            "study.learning_rates.adm is unknown; did you mean study.learning_rates.adam?",
        ),
        (
            "study={kind: batchnorm, learning_rates: {adam: 0}}",
            "study.learning_rates.adam is 0.0; it must be above",
        ),
        ("study={kind: dropout, cycle: 0}", "study.cycle is 0; it must be at least 1"),
        ("study={kind: dropout, beta: 1.0}", "study.beta is 1.0; a rate lies between 0 and 1, 1 excluded"),
        (
            "study={kind: dropout, fixed: -0.1}",
            "study.fixed is -0.1; a rate lies between 0 and 1, 1 excluded",
        ),
        ("study={kind: dropout, sample: 0}", "study.sample is 0.0; a share of the images is above 0"),
        (
            "study={kind: dropout, shares: [0.5, 0.1]}",
            "study.shares is [0.5, 0.1]; shares of zeros lie between",
        ),
        (
            "study={kind: dropout, shares: [0.5]}",
            "study.shares is [0.5]; expected two values, [lowest, highest]",
        ),
        (
            "study={kind: dropout, selected: 0.99}",
            "study.selected is 0.99, which leaves no child in a population of 30",
        ),
        ("study={kind: dropout, mutation: 2}", "study.mutation is 2.0; a chance lies between 0 and 1"),
        ("study={kind: dropout, weight: 10}", "study.weight is 10.0; it must be above 10"),
        ("study={kind: dropout, arms: [dance]}", 'study.arms[0] is "dance"; expected ga, fixed'),
        ("study={kind: dropout, arms: [grid]}", "study.arms has grid alone, which is as dear as ga"),
        ("study={kind: dropout, arms: []}", "study.arms is empty; name an arm, for instance ga"),
        ("study={kind: dropout, networks: []}", "study.networks is empty; name a network"),
        (
            "study={kind: dropout, networks: [evolved]}",
            "study.networks has evolved, but a dropout study evolves no network",
        ),
        (
            "study={kind: dropout, networks: [resnet18, resnet18]}",
            "study.networks has resnet18 twice; name each once",
        ),
        (
            "study={kind: dropout, networks: [a, a-random]}",
            "study.networks has two networks of which arms would be called a-random-masks",
        ),
        (
            "study={kind: dropout, networks: [a b]}",
            "study.networks has 'a b'; give a chromosome (`C8 P | F4`), the name",
        ),
        (
            "study={kind: batchnorm, weights: [a, b, c, d]}",
            "study.weights holds 4 files; there are three networks",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_its_place(read, override, told):
    with pytest.raises(ConfigError) as caught:
        read(override)
    assert caught.value.lines == (str(caught.value),)
    assert f"--set {override}: {told}" in str(caught.value)
