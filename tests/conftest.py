"""What holds for every test."""

import pytest
from hypothesis import settings

from tests.finished_search import script_workers, train

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
