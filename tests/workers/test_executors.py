import subprocess
import sys
from typing import Literal

import pytest

from evosearch.errors import CannotRunError
from evosearch.runtime import PoolChanged, PoolEvent, WorkerSettings
from evosearch.testing.evaluators import FormulaEvaluator
from evosearch.testing.pool_contract import tiny_data
from workers import NO_GPU, make_pool
from workers.process_pool.pool import ProcessPool
from workers.ray_pool.pool import RayPool


def test_each_executor_has_its_pool() -> None:
    for executor, pool_class in (("local", ProcessPool), ("ray", RayPool)):
        pool = make_pool(executor, WorkerSettings(count=1), 1, FormulaEvaluator(), tiny_data())
        assert isinstance(pool, pool_class)
        pool.close()


def test_a_machine_without_a_gpu_refuses_device_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(CannotRunError, match="no GPU was found"):
        make_pool("local", WorkerSettings(device="cuda"), 1, FormulaEvaluator(), tiny_data())


@pytest.mark.parametrize(("gpus", "held"), [(1, 3), (0, 4)])
def test_there_are_no_more_workers_than_have_work_and_no_more_than_devices_hold(
    monkeypatch: pytest.MonkeyPatch, gpus: int, held: int
) -> None:
    monkeypatch.setattr("workers.slots.gpus_for", lambda device: gpus)
    monkeypatch.setattr("workers.slots.count_cores", lambda: 4)

    monkeypatch.setattr("workers.process_pool.pool.ProcessPool", lambda factory, data, slots, *_, **__: slots)

    def slots(most: int | None) -> int:
        settings = WorkerSettings(per_gpu=3)
        return len(make_pool("local", settings, 1, FormulaEvaluator(), tiny_data(), most=most))

    assert [slots(most) for most in (None, 18, 2)] == [held, held, 2]


@pytest.mark.parametrize(("per_gpu", "told"), [("auto", [PoolChanged(NO_GPU)]), (2, [])])
def test_that_auto_workers_per_gpu_mean_nothing_without_one_is_told(
    monkeypatch: pytest.MonkeyPatch, per_gpu: Literal["auto"] | int, told: list[PoolEvent]
) -> None:
    monkeypatch.setattr("workers.slots.gpus_for", lambda device: 0)
    pool = make_pool("local", WorkerSettings(per_gpu=per_gpu), 1, FormulaEvaluator(), tiny_data())
    assert pool.poll(0.0) == told  # it was not started, so that nobody joins
    pool.close()


@pytest.mark.parametrize("module", ["workers", "workers.process_pool.pool", "workers.ray_pool.pool"])
def test_a_driver_loads_neither_torch_nor_ray_before_it_starts_a_pool(module: str) -> None:
    code = f"import sys, {module}; sys.exit(bool({{'torch', 'ray'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
