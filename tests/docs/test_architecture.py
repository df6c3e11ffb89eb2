"""The modules that one chromosome passes are those that `docs/architecture.md` lists, no more and no fewer.

A whole search runs here from its configuration to its best: the real driver, the real training, a journal in a file, and
a pool inside this process. What is called is noted; see `Passed`.
"""

import dataclasses
import re
import sys
from pathlib import Path

import pytest

from evosearch.config import load_config
from evosearch.genome import Chromosome
from evosearch.storage import open_home
from tests.finished_search import Api, script_workers
from workers.executors import train_on

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"

SEARCH = """
seed: 5
data: {name: digits}
space: {convolutions: [1, 2], channels: [4, 8], poolings: [0, 1], dense: [1, 1], units: [8, 16]}
strategy: {population: 6, generations: 4, elites: 1, immigrants: 1}
training: {epochs: 1, batch_size: 64, learning_rate: 3e-3}
workers: {count: 1}
"""

WRAPS = 4
"""How deep a chromosome lies at most: event, candidate, chromosome."""


def wraps_one(value, depth=0):
    """Whether a chromosome lies in `value` by itself: in a field of a field, and in no collection with others."""
    if isinstance(value, Chromosome):
        return depth > 0
    if depth == WRAPS or isinstance(value, type) or not dataclasses.is_dataclass(value):
        return False
    fields = (getattr(value, field.name, None) for field in dataclasses.fields(value))
    return any(isinstance(one, Chromosome) or wraps_one(one, depth + 1) for one in fields)


class Passed:
    """By module, the functions of ours that were called while this is entered; `handled` those that took or returned a
    chromosome, `carried` those that took a value with one chromosome in it. What dataclasses generate is left out, and
    so are the doubles in `evosearch.testing`.
    """

    def __init__(self):
        self.ran, self.handled, self.carried = set(), set(), set()
        self._looking = False

    def __enter__(self):
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)

    def _note(self, frame, event, result):
        module, code = frame.f_globals.get("__name__", ""), frame.f_code
        ours = module.startswith(("evosearch.", "workers.")) and not module.startswith("evosearch.testing")
        if self._looking or event not in ("call", "return") or not ours or code.co_filename == "<string>":
            return
        self._looking = True  # what is asked of values calls functions too
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        values = [frame.f_locals[name] for name in names if name in frame.f_locals]
        self.ran.add(module)
        if any(isinstance(one, Chromosome) for one in (*values, result)):
            self.handled.add(module)
        if event == "call" and any(map(wraps_one, values)):
            self.carried.add(module)
        self._looking = False


@pytest.fixture(scope="module")
def passed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("path")
    config = folder / "path.yaml"
    config.write_text(SEARCH)
    api = Api()
    script_workers(api, train_on)
    with open_home(None, env={}, cwd=folder, create=True) as home, Passed() as passed:
        finished = api.run(load_config(config), home, executor="local")
    assert finished.best is not None
    assert finished.row.counts["failed"] == 0
    return passed


def listed(name):
    """The modules of a list on the page, as they are imported."""
    found = re.search(f"<!-- {name} -->\n(.*?)<!-- end of {name} -->", PAGE.read_text(), re.DOTALL)
    paths = re.findall(r"`((?:evosearch|workers)/[\w/]+)\.py`", found[1])
    assert len(set(paths)) == len(paths)
    return {path.replace("/", ".") for path in paths}


def test_the_modules_that_do_something_with_a_chromosome_are_those_that_are_listed(passed):
    print(f"{len(passed.handled)} modules handle a chromosome: {', '.join(sorted(passed.handled))}")  # noqa: T201 - for whoever runs it with -s
    assert passed.handled == listed("handled")


def test_the_modules_that_hand_it_on_are_those_that_are_listed(passed):
    only = passed.carried - passed.handled
    print(f"{len(only)} more hand it on: {', '.join(sorted(only))}; of {len(passed.ran)} that ran")  # noqa: T201 - for whoever runs it with -s
    assert only == listed("carried")


def test_the_numbers_that_the_page_says_are_those_of_its_lists():
    text = PAGE.read_text()
    assert f"{len(listed('handled'))} modules" in text
    assert f"{len(listed('carried'))} more" in text


def test_an_architecture_that_lacks_a_room_would_be_seen():
    rooms = {
        f"evosearch/{path.name}" for path in (PAGE.parents[1] / "evosearch").iterdir() if path.is_dir()
    } - {"evosearch/__pycache__"}
    named = set(re.findall(r"`(evosearch/\w+)/`", PAGE.read_text()))
    assert named == rooms
