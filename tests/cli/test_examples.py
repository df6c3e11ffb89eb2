"""The examples that come with evosearch, `init`, and the two short forms of `run`."""

import os
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
import yaml

from evosearch.cli.examples import chosen_file, example_names, shipped_configs
from evosearch.cli.options import with_workers
from evosearch.config import load_config
from evosearch.errors import InputError
from evosearch.storage import open_home

TINY = ("--set", "strategy={population: 2, generations: 1, elites: 1, immigrants: 0}")


def test_the_examples_are_the_configurations_that_are_shipped(command):
    shipped = sorted(path.stem for path in (Path(__file__).parents[2] / "configs").glob("*.yaml"))
    assert example_names() == shipped
    for name in shipped:
        assert load_config(chosen_file(None, name)).name == name


def test_an_example_is_searched_without_a_file(command, scripted):
    ended = command("run", "--example", "digits", "--executor", "local", *TINY)
    assert ended.status == 0, ended.err
    assert "Best: validation accuracy" in ended.out
    assert Path("runs/digits").is_dir()


def test_an_example_is_checked_without_a_file(command):
    assert command("validate", "--example", "digits").status == 0
    assert "bad files: 0" in command("data", "--example", "digits").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--example", "digit"], f"no example 'digit'; there are {', '.join(example_names())}"),
        (["validate", "--example", "../digits"], "no example '../digits'; there are"),
        (["data", "tiny.yaml", "--example", "digits"], "tiny.yaml and --example digits name two"),
        (
            ["run"],
            f"no configuration is named; give a file (`evosearch init` writes one), or --example {'|'.join(example_names())}",
        ),
    ],
)
def test_a_wrong_choice_lists_the_examples_and_forms_there_are(refused, arguments, message):
    assert message in refused(*arguments)


def test_the_template_is_a_configuration_without_a_name_that_is_called_after_its_file(command):
    ended = command("init", "cats.yaml")
    assert (ended.status, ended.err) == (0, "")
    assert "name" not in yaml.safe_load(Path("cats.yaml").read_text())
    assert load_config(Path("cats.yaml")).name == "cats"
    assert [line for line in ended.out.splitlines() if "evosearch run cats.yaml" in line]


def test_the_template_s_first_line_names_a_schema_that_is_there(command):
    command("init")
    first = Path("evosearch.yaml").read_text().splitlines()[0]
    address = urlparse(first.partition("$schema=")[2])
    assert address.scheme == "file"
    assert Path(unquote(address.path)).read_text() == (shipped_configs() / "schema.json").read_text()


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_what_exists_is_never_overwritten(refused, make):
    make(Path("mine.yaml"))
    before = os.lstat("mine.yaml")
    assert refused("init", "mine.yaml") == "mine.yaml exists and is left as it is; name another file"
    assert os.lstat("mine.yaml") == before


def test_a_folder_that_is_not_there_is_named(refused):
    assert refused("init", "no/where.yaml").startswith("no is no folder that exists")


def test_the_number_of_workers_is_the_key_by_another_word(command, scripted):
    ended = command("run", "tiny.yaml", "--executor", "local", "--workers", "3")
    assert ended.status == 0, ended.err
    with open_home(None, env={}, cwd=Path.cwd(), create=False) as home:
        assert home.find_search("tiny").configuration["workers"]["count"] == 3


@pytest.mark.parametrize("given", ["workers.count=2", "workers.count=null", "workers={count: 2}"])
def test_the_number_of_workers_is_given_once(given):
    with pytest.raises(InputError, match=r"--workers 3 and --set workers\.?.* both say how many workers"):
        with_workers(["seed=1", given], 3)


def test_other_keys_of_workers_go_with_it():
    assert with_workers(["workers.per_gpu=2"], 3) == ["workers.per_gpu=2", "workers.count=3"]
    assert with_workers(["workers.count=2"], None) == ["workers.count=2"]
