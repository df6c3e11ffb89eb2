"""What a user reads when a configuration is wrong: one line with place, key, found value and repair."""

import pytest

from evosearch.config import load_config
from evosearch.data import SOURCES
from evosearch.errors import ConfigError
from evosearch.search import STRATEGIES

DATA = "data: {name: digits}\n"


@pytest.fixture
def refusal(write):
    def load(text, *overrides, name=None):
        with pytest.raises(ConfigError) as caught:
            load_config(write(text), overrides, name)
        assert len(str(caught.value).splitlines()) == 1
        return str(caught.value)

    return load


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strategy: {popluation: 8}", "strategy.popluation is unknown; did you mean strategy.population?"),
        ("stratgy: {population: 8}", "stratgy is unknown; did you mean strategy?"),
        ("epochs: 5", "epochs is unknown; did you mean training.epochs or final.epochs?"),
        ("population: 5", "population is unknown; did you mean strategy.population?"),
        (
            "data: {name: digits, folder: x}",
            "data.folder is unknown; known are name, image_size, channels, positive, exclude_twins, validation_fraction",
        ),
        (
            "strategy: {name: random, population: 8}",
            "strategy.population is unknown; it belongs to strategy.name eavl; "
            "known here are name, evaluations, redraws",
        ),
        (
            "data: {name: covid_ct, root: x, test_fracton: 0.1}",
            "data.test_fracton is unknown; known are name, image_size, channels, positive, exclude_twins, root, beside, follow_links",
        ),
        ("strategy: {evaluations: 8}", "strategy.evaluations is unknown; it belongs to strategy.name random"),
        (
            "study: {kind: baselines, networks: [{network: resnet18, weight: x}]}",
            "study.networks[0].weight is unknown; did you mean study.networks[0].weights?",
        ),
        ("'a\\nb': 1", r"known are name, data, seed"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_known_one(refusal, text, message):
    head = "" if text.startswith("data") else DATA
    line = 1 if text.startswith("data") else 2
    found = refusal(head + text)
    assert found.startswith(f"run.yaml:{line}: ")
    assert message in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('strategy: {population: "8"}', 'strategy.population is "8"; expected a whole number'),
        ("strategy: {population: 8.0}", "strategy.population is 8.0; expected a whole number"),
        ("strategy: {population: 1e1}", "strategy.population is 10.0; expected a whole number"),
        ("strategy: {population: true}", "strategy.population is true; expected a whole number"),
        ("strategy: {population: null}", "strategy.population is null; expected a whole number"),
        ("training: {learning_rate: fast}", 'training.learning_rate is "fast"; expected a number'),
        ("training: {learning_rate: true}", "training.learning_rate is true; expected a number"),
        ("training: {learning_rate: .inf}", "training.learning_rate is Infinity; expected a finite number"),
        ("training: {dropout: .nan}", "training.dropout is NaN; expected a finite number"),
        ("training: {deterministic: no}", 'training.deterministic is "no"; expected true or false'),
        ("training: {deterministic: 1}", "training.deterministic is 1; expected true or false"),
        (
            "training: {optimizer: adm}",
            'training.optimizer is "adm"; expected adam, sgd, adadelta or rmsprop',
        ),
        ("workers: {address: 5}", "workers.address is 5; expected text"),
        ("workers: {per_gpu: many}", 'workers.per_gpu is "many"; expected a whole number or auto'),
        ("workers: {per_gpu: 1.5}", "workers.per_gpu is 1.5; expected a whole number or auto"),
        ("space: {channels: [8]}", "space.channels is [8]; expected two values, [lowest, highest]"),
        ("space: {channels: []}", "space.channels is []; expected two values, [lowest, highest]"),
        (
            "space: {channels: [8, 9, 10]}",
            "space.channels is [8, 9, 10]; expected two values, [lowest, highest]",
        ),
        ("space: {channels: 8}", "space.channels is 8; expected two values, [lowest, highest]"),
        ("space: {channels: 8-16}", 'space.channels is "8-16"; expected two values, [lowest, highest]'),
        ("space: {channels: [8, 9.5]}", "space.channels[1] is 9.5; expected a whole number"),
        ("space:", "space is null; expected keys and values below it, or leave it out"),
        ("strategy: random", 'strategy is "random"; expected keys and values below it, or leave it out'),
        ("strategy: {name: evl}", f'strategy.name is "evl"; {STRATEGIES.expected("evl")}'),
        ("strategy: {name: 5}", f"strategy.name is 5; expected {STRATEGIES.listed()}"),
        ("seed: -1", "seed is -1; it must be at least 0"),
        ("space: {channels: [9, 1]}", "space.channels is [9, 1]; the lower bound comes first: [1, 9]"),
        (
            "workers: {checkpoint_minutes: soon}",
            'workers.checkpoint_minutes is "soon"; expected a number',
        ),
        ("final: {epochs: 0}", "final.epochs is 0; it must be at least 1"),
        (
            "strategy: {population: 8}",
            "strategy.population is 8, smaller than elites + immigrants = 10 + 10; "
            "raise the population or lower the others",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(refusal, text, message):
    assert refusal(DATA + text) == f"run.yaml:2: {message}"


@pytest.mark.parametrize("given", ["pets", "5", "null", "[digits]"])
def test_a_source_that_nobody_registers_is_answered_with_those_there_are(refusal, given):
    shown = f'"{given}"' if given == "pets" else given.replace("[digits]", '["digits"]')
    assert (
        refusal(f"data: {{name: {given}}}")
        == f"run.yaml:1: data.name is {shown}; expected {SOURCES.listed()}"
    )
    assert SOURCES.listed().startswith("digits, covid_ct, image_folder, ")


@pytest.mark.parametrize("window", ["wide", "5", "[3]", "[1, 2, 3]", "null"])
def test_of_a_value_of_several_kinds_all_are_asked_for(refusal, window):
    found = refusal(f"data: {{name: image_folder, root: x, window: {window}}}")
    assert found.startswith("run.yaml:1: data.window is ")
    assert found.endswith("; expected full or auto or two values, [lowest, highest]")


@pytest.mark.parametrize("given", ["normal", "3", "{normal: 0}"])
def test_of_a_list_of_any_length_a_list_is_asked_for(refusal, given):
    found = refusal(f"data: {{name: medmnist, root: x.npz, classes: {given}}}")
    assert found.startswith("run.yaml:1: data.classes is ")
    assert found.endswith("; expected a list, [one, another]")


def test_the_line_is_the_keys_own(refusal):
    text = "data:\n  name: digits\n\nspace:\n  units: [1, 2]\n  dense:\n    - 1\n    - two\n"
    assert refusal(text) == 'run.yaml:8: space.dense[1] is "two"; expected a whole number'


@pytest.fixture
def lines(write):
    """All that is told."""

    def load(text, *overrides):
        with pytest.raises(ConfigError) as caught:
            load_config(write(text), overrides)
        return caught.value.lines

    return load


def test_of_several_problems_the_message_is_the_first_in_the_file(refusal):
    text = "training: {epochs: x}\nspace: {dense: 1}\nfoo: 1\n" + DATA
    assert refusal(text) == 'run.yaml:1: training.epochs is "x"; expected a whole number (and 2 more)'


def test_every_problem_is_told_whichever_room_finds_it(lines):
    text = (
        "training:\n  epochs: x\n  batch_size: 0\n  dropout: 2\n"
        "strategy: {population: 8}\nseed: -1\nname: a b\nfoo: 1\n" + DATA
    )
    begins = [
        'run.yaml:2: training.epochs is "x"',
        "run.yaml:3: training.batch_size is 0",
        "run.yaml:4: training.dropout is 2.0",
        "run.yaml:5: strategy.population is 8, smaller than elites + immigrants = 10 + 10",
        "run.yaml:6: seed is -1",
        "run.yaml:7: name: 'a b' cannot name a search",
        "run.yaml:8: foo is unknown",
        "--set final.epochs=0: final.epochs is 0",
        "--set space.channels=[8]: space.channels is [8]",
    ]
    found = lines(text, "final.epochs=0", "space.channels=[8]")
    assert [line[: len(begin)] for line, begin in zip(found, begins, strict=True)] == begins


def test_what_only_follows_from_another_problem_is_not_told(lines):
    (line,) = lines(DATA + "strategy: {population: -1, elites: 60}")  # 60 of 100, the default, would do
    assert line.startswith("run.yaml:2: strategy.population is -1; ")
    (line,) = lines(DATA + "strategy: {population: -1, elites: 600}")
    assert line.startswith("run.yaml:2: strategy.population is -1; ")
    (line,) = lines("data: {name: covid_ct}")
    assert line == "run.yaml:1: data.root is missing; add it"


def test_of_very_many_problems_ten_are_told_and_how_many_more_there_are(lines):
    found = lines(DATA + "".join(f"unknown{number}: 1\n" for number in range(14)))
    assert len(found) == 11
    assert found[9].startswith("run.yaml:11: unknown9 is unknown")
    assert found[10] == "and 4 more"


def test_a_missing_section_is_asked_for(refusal):
    assert refusal("seed: 1") == "run.yaml: data is missing; add it"
    assert refusal("dta: {name: digits}") == "run.yaml:1: dta is unknown; did you mean data? (and 1 more)"


def test_a_rooms_own_complaint_about_an_absent_key_names_its_section(refusal):
    assert refusal("seed: 1\ndata:\n  name: covid_ct") == ("run.yaml:2: data.root is missing; add it")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("strategy.popluation=8", "strategy.popluation is unknown; did you mean strategy.population?"),
        ("stratgy.population=8", "stratgy is unknown; did you mean strategy?"),
        ("strategy.population=8.0", "strategy.population is 8.0; expected a whole number"),
        (
            "strategy.population=8",
            "strategy.population is 8, smaller than elites + immigrants = 10 + 10; raise",
        ),
        ("seed=1:30", 'seed is "1:30"; expected a whole number'),
        ("seed.x=1", 'seed is {"x": 1}; expected a whole number'),
        ("data=null", "data is null; expected keys and values below it"),
        ("name=../x", "name: '../x' cannot name a search"),
    ],
)
def test_a_wrong_override_is_named_itself(refusal, override, message):
    assert refusal(DATA, override).startswith(f"--set {override}: {message}")


def test_a_name_that_cannot_be_a_folder_is_refused_wherever_it_comes_from(refusal, write):
    assert refusal(DATA + "name: a b").startswith("run.yaml:2: name: 'a b' cannot name a search")
    assert refusal(DATA, name="a/b/c").startswith("--name a/b/c: name: 'a/b/c' cannot name a search")
    odd = write(DATA).rename("my run.yaml")
    with pytest.raises(
        ConfigError, match=r"^my run.yaml, whose name names the search: name: 'my run' cannot"
    ):
        load_config(odd)


SECRET = "storage.journl=postgresql://me:secret@host/db"


@pytest.mark.parametrize(
    "override",
    [SECRET, SECRET.replace("//", ""), SECRET.replace("=", ":"), "storage=postgresql:/me:secret@h"],
)
def test_a_password_is_not_shown_wherever_it_was_misplaced(refusal, override):
    assert "secret" not in refusal(DATA, override)


def test_not_even_a_password_that_is_longer_than_what_is_shown(refusal):
    assert "secret" not in refusal(f"{DATA}seed: postgresql://me:{'secret' * 20}@host/db")
