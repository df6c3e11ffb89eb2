"""The examples in docstrings are run, and every operator and every form of a network has one."""

import doctest
import importlib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
WITH_EXAMPLES = sorted(
    path.relative_to(PROJECT)
    for room in ("evosearch", "workers")
    for path in (PROJECT / room).rglob("*.py")
    if ">>> " in path.read_text()
)


def module_at(path):
    return importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=str)
def test_what_a_docstring_shows_is_what_comes_out(path):
    ended = doctest.testmod(module_at(path), raise_on_error=False)
    assert ended.attempted > 0
    assert ended.failed == 0


@pytest.mark.parametrize(
    "path",
    [
        "evosearch/genome/text.py: parse to_json from_json",
        "evosearch/genome/network.py: parse_network network_to_json network_from_json",
        "evosearch/genome/space.py: sample",
        "evosearch/search/selection.py: parent_probabilities draw_pairs",
        "evosearch/search/crossover.py: crossover cross_heads cross_tails",
        "evosearch/search/balance.py: balance draw_cut_length shrink grow",
        "evosearch/search/survival.py: ranking elites",
        "evosearch/blueprint/feasibility.py: repair_head",
    ],
)
def test_each_operator_and_each_form_has_an_example(path):
    file, _, names = path.partition(": ")
    module = module_at(Path(file))
    for name in names.split():
        assert ">>> " in getattr(module, name).__doc__, name
