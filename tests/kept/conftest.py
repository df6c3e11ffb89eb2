"""Copies of the kept homes, in a working directory of their own."""

import pytest

from tests.finished_search import script_workers
from tests.kept.homes import DOUBLES, KeptHome, unpack


@pytest.fixture
def unpacked(request, tmp_path, monkeypatch, api):
    """A function: a copy of the home of that name, in the working directory, and the pools that are made for it."""

    def copied(name):
        monkeypatch.chdir(tmp_path)
        for variable in ("EVOSEARCH_HOME", "EVOSEARCH_DATA", "RAY_ADDRESS"):
            monkeypatch.delenv(variable, raising=False)
        storage = request.getfixturevalue("database") if name == "postgres" else None
        unpack(name, tmp_path, storage)
        double = DOUBLES[name]
        return KeptHome(name, storage), script_workers(api, double.evaluator, double.script)

    return copied


@pytest.fixture(params=sorted(DOUBLES))
def kept(request, unpacked):
    """A copy of each kept home, and the pools that are made for it."""
    return unpacked(request.param)
