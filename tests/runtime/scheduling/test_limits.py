"""The limits of a configuration against the devices there are."""

import pytest

from evosearch.blueprint import SizeLimits
from evosearch.errors import CannotRunError
from evosearch.genome import SearchSpace
from evosearch.runtime import Worker
from evosearch.runtime.scheduling.placement import CONTEXT, check_limits

GIB = 2**30
SMALL, LARGE, CPU = Worker("a", "x/cuda:0", 8 * GIB), Worker("b", "y/cuda:0", 24 * GIB), Worker("c", "z/cpu")


def test_a_limit_above_the_largest_device_is_refused_with_the_numbers(plan):
    limits = SizeLimits.of(SearchSpace(max_memory=24 * GIB))
    with pytest.raises(CannotRunError, match=r"of 24.0 GiB.*y/cuda:0, has 24.0 GiB.*lower space.max_memory"):
        check_limits(limits, [SMALL, LARGE], all_there=True)


def test_what_fits_the_largest_device_is_allowed_whatever_the_others_hold(plan):
    limits = SizeLimits.of(SearchSpace(max_memory=24 * GIB - CONTEXT))
    assert check_limits(limits, [SMALL, LARGE], all_there=False)


def test_nothing_is_said_while_a_larger_device_may_still_come(plan):
    limits = SizeLimits.of(SearchSpace(max_memory=10 * GIB))
    assert not check_limits(limits, [], all_there=True)
    assert not check_limits(limits, [SMALL], all_there=False)


def test_without_a_limit_or_a_gpu_there_is_nothing_to_compare(plan):
    assert check_limits(plan.context.limits, [SMALL], all_there=False)
    assert check_limits(SizeLimits.of(SearchSpace(max_memory=900 * GIB)), [CPU], all_there=False)
