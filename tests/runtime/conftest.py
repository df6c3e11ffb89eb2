"""Fixtures of the runtime's tests."""

import pytest

from evosearch.runtime import Plan
from tests.runtime.small_search import make_plan


@pytest.fixture
def plan() -> Plan:
    return make_plan()
