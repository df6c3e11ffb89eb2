"""What holds for every test."""

import pytest
from hypothesis import settings

# Shared machines stall for seconds at times: a deadline would fail tests for that alone.
settings.register_profile("evosearch", deadline=None)
settings.load_profile("evosearch")

for contract in ("journal_contract", "pool_contract", "strategy_contract"):
    pytest.register_assert_rewrite(f"evosearch.testing.{contract}")
