"""What holds for every test."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

import tests.bucket  # noqa: F401 - registers `bucket://` with fsspec
from tests.finished_search import script_workers, train
from tests.storage.postgres_server import PostgresServer, find_programs

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
def scripted(monkeypatch):
    """No worker is a process: fitness comes from a formula. Holds the pools that were made."""
    return script_workers(monkeypatch)


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
    monkeypatch.setattr("evosearch.storage.advisory.SETTLED_SECONDS", 0.0)
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


KINDS = ("ray", "gpu", "slow", "chaos", "network")
KINDS_OF = pytest.StashKey[dict[str, list[str]]]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Which kinds each test is of; by its marks, since keywords hold its name too."""
    session.config.stash[KINDS_OF] = {
        item.nodeid: [kind for kind in KINDS if item.get_closest_marker(kind)] for item in session.items
    }


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tests of each kind ran, so that a kind that is empty or skipped is seen."""
    kinds_of = terminalreporter.config.stash.get(KINDS_OF, {})
    counts = {kind: [0, 0] for kind in (*KINDS, "plain")}
    for outcome, column in (("passed", 0), ("failed", 0), ("skipped", 1)):
        for report in terminalreporter.stats.get(outcome, ()):
            for kind in kinds_of.get(report.nodeid) or ["plain"]:
                counts[kind][column] += 1
    told = ", ".join(f"{kind} {ran} ran {skipped} skipped" for kind, (ran, skipped) in counts.items())
    terminalreporter.write_line(f"by kind: {told}")
