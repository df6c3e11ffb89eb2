"""A link between two machines that is cut for half a minute while a generation is evaluated."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from evosearch.evaluation import FailureKind
from evosearch.storage import Failed, Finished
from evosearch.testing import FormulaEvaluator
from tests.chaos.arena import until
from tests.chaos.searches import Search
from tests.network.hosts import Hosts, NotPermittedError, two_hosts

pytestmark = [pytest.mark.network, pytest.mark.ray]

CUT_SECONDS = 30
QUICK = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}


@pytest.fixture
def hosts(environment: dict[str, str]) -> Iterator[Hosts]:
    """One GPU beside the driver, two on the other host."""
    try:
        with two_hosts((1, 2), environment) as made:
            yield made
    except NotPermittedError as error:
        pytest.skip(str(error))


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("environment", "gives_up"),
    [({}, False), (QUICK, True)],
    ids=["shorter than Ray's patience", "longer than it"],
)
def test_a_search_whose_link_is_cut_and_mended_ends_as_the_undisturbed_one(
    hosts: Hosts, tmp_path: Path, gives_up: bool
) -> None:
    with Search(tmp_path, hosts, FormulaEvaluator(seconds=2)) as search:
        driver = search.start()
        before = search.wait_for(Finished, 3)
        hosts.cut()
        try:
            search.wait_for(Finished, len(before) + 2)  # the host of the driver goes on
            Event().wait(CUT_SECONDS)  # is the case itself: nothing happens that could be awaited
        finally:
            hosts.mend()
        search.finish(driver, 120)
        # the lost host learns only now, and late, that it was given up: TCP waits longer with each try
        until(lambda: not hosts.workers(), f"no worker is left: {hosts.workers()}", 60)
        failed = search.all(Failed)
    assert {one.failure.kind for one in failed} <= {FailureKind.WORKER_LOST}
    assert failed or not gives_up  # a short cut may end as if nothing had been
