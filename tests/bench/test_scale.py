import pytest

from evosearch.bench.scale import Scale, measure_scale


def test_a_cluster_is_told_with_its_bound_its_driver_and_its_losses():
    busy, per, rate, failing = measure_scale(
        Scale(nodes=4, per_node=2, searches=2, generations=2, life=10.0, repair=1.0)
    )
    assert "8 GPUs, 2 seeds of 2 generations" in busy.what
    assert busy.note.startswith("no order exceeds")
    assert per.value * rate.value == pytest.approx(1000)
    assert "attempts lost with their nodes" in failing.note
    assert not failing.note.startswith("0 ")
    assert 0 < failing.value < 100
