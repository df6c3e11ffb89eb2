import pytest

from evosearch.bench.recovery import measure_recovery


@pytest.mark.parametrize(
    "executor", ["local", pytest.param("ray", marks=[pytest.mark.ray, pytest.mark.slow])]
)
def test_the_evaluation_of_a_killed_worker_is_on_another_one_after_some_seconds(executor):
    (measure,) = measure_recovery(1, [executor])
    assert 0 < measure.value < 60
    assert measure.at_most == 1.0
