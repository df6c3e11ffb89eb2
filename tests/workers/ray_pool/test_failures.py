import inspect

import pytest
import ray.exceptions
from ray.exceptions import (
    ActorDiedError,
    AuthenticationError,
    GetTimeoutError,
    NodeDiedError,
    OutOfMemoryError,
    RayError,
    RayTaskError,
)

from evosearch.errors import CannotRunError
from evosearch.evaluation import FailureKind
from workers.ray_pool.failures import TABLE, describe_ray, judge


def _classes() -> set[str]:
    return {
        name
        for name, value in vars(ray.exceptions).items()
        if inspect.isclass(value) and issubclass(value, Exception) and value.__module__ == "ray.exceptions"
    }


def test_every_exception_of_ray_has_its_place_in_the_table_and_nothing_else_has() -> None:
    assert _classes() == set(TABLE)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NodeDiedError("gone"), FailureKind.WORKER_LOST),
        (GetTimeoutError("late"), FailureKind.WORKER_LOST),
        (OutOfMemoryError("full"), FailureKind.OUT_OF_MEMORY),
        (RayTaskError("run", "Traceback", KeyError("x")).as_instanceof_cause(), FailureKind.ERROR),
        (type("InventedError", (RayError,), {})("new"), FailureKind.WORKER_LOST),
    ],
)
def test_a_kind_is_told_by_the_class_or_by_what_it_derives_from(error: Exception, kind: FailureKind) -> None:
    def nobody_asks() -> bool:
        raise AssertionError

    assert judge(error, nobody_asks) is kind


def test_a_dead_actor_has_crashed_where_its_node_lives_and_is_lost_where_it_does_not() -> None:
    assert judge(ActorDiedError(), lambda: True) is FailureKind.CRASHED
    assert judge(ActorDiedError(), lambda: False) is FailureKind.WORKER_LOST


def test_a_cluster_that_refuses_this_driver_ends_the_search() -> None:
    with pytest.raises(CannotRunError, match="the Ray cluster refused this driver: AuthenticationError: "):
        judge(AuthenticationError("wrong token"), lambda: True)


def test_a_description_is_the_line_that_has_the_cause() -> None:
    assert describe_ray(NodeDiedError("first\nsecond")) == "NodeDiedError: first"
    died = ActorDiedError()
    died.error_msg = "The actor died.\n\tpid: 1\nSIGKILL. Some common causes include: (1) hail"
    assert describe_ray(died) == "ActorDiedError: SIGKILL."
    assert describe_ray(RayError()) == "RayError: "
