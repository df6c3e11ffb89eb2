"""What holds for every test."""

import os
import secrets
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

import tests.bucket  # noqa: F401 - registers `bucket://` with fsspec
from evosearch.config import load_config
from evosearch.storage import open_home
from tests.finished_search import TINY, Api, script_workers, train
from tests.storage.postgres_server import PostgresServer, find_programs

if (
    signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
):  # begun by nohup: what the tests start would ignore it, too
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

os.environ |= {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""For clusters that tests start: left to itself Ray lets anybody in, or writes a token to the home. It reads both once per process."""

# Shared machines stall for seconds at times: a deadline would fail tests for that alone.
settings.register_profile("evosearch", deadline=None)
settings.load_profile("evosearch")

for contract in ("journal_contract", "pool_contract", "strategy_contract"):
    pytest.register_assert_rewrite(f"evosearch.testing.{contract}")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A search that was really trained; tests read it, and copy its home where they would change it."""
    return train(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def api():
    """The functions of `evosearch.api`, to which a test gives workers, images and clock of its own."""
    return Api()


@pytest.fixture
def scripted(api):
    """No worker is a process: fitness comes from a formula. Holds the pools that were made."""
    return script_workers(api)


@pytest.fixture
def two_classes(api):
    """The digits, told apart as below five and not."""
    load = api.providers.load_dataset

    def halved(*arguments, **named):
        whole = load(*arguments, **named)
        splits = {
            name: replace(split, labels=(split.labels >= 5).astype(np.int64))
            for name in ("train", "validation", "test")
            for split in [getattr(whole, name)]
        }
        return replace(whole, classes=("low", "high"), **splits)

    api.give(load_dataset=halved)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home, in the working directory of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVOSEARCH_HOME", raising=False)
    with open_home(None, env={}, cwd=tmp_path, create=True) as made:
        yield made


@pytest.fixture
def config(home):
    """A search of a few seconds, whose file is `tiny.yaml` beside the home."""
    Path("tiny.yaml").write_text(TINY)
    return load_config(Path("tiny.yaml"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of our own."""
    programs = find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server here (on Debian: apt-get install postgresql)")
    with PostgresServer.running(programs) as server:
        yield server


@pytest.fixture
def database(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty database, on a server whose locks are trusted although it has just been started."""
    monkeypatch.setattr("evosearch.storage.holding.advisory.SETTLED_SECONDS", 0.0)
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


KINDS = ("ray", "gpu", "slow", "studies", "chaos", "network")
KIND = "kind"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which kinds each test is of, by its marks; told with its report, which may come from another process. Files with slow tests
    come first, so that in the end no process waits for another's.
    """
    for item in items:
        item.user_properties += [(KIND, kind) for kind in KINDS if item.get_closest_marker(kind)]
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tests of each kind ran, so that a kind that is empty or skipped is seen."""
    counts = {kind: [0, 0] for kind in (*KINDS, "plain")}
    for outcome, column in (("passed", 0), ("failed", 0), ("skipped", 1)):
        for report in terminalreporter.stats.get(outcome, ()):
            kinds = [kind for name, kind in getattr(report, "user_properties", ()) if name == KIND]
            for kind in kinds or ["plain"]:
                counts[kind][column] += 1
    told = ", ".join(f"{kind} {ran} ran {skipped} skipped" for kind, (ran, skipped) in counts.items())
    terminalreporter.write_line(f"by kind: {told}")
