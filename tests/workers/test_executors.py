import subprocess
import sys

import pytest

from evosearch.errors import CannotRunError
from evosearch.runtime import WorkerSettings
from evosearch.testing.evaluators import FormulaEvaluator
from evosearch.testing.pool_contract import tiny_data
from workers import make_pool
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


@pytest.mark.parametrize("module", ["workers", "workers.process_pool.pool", "workers.ray_pool.pool"])
def test_a_driver_loads_neither_torch_nor_ray_before_it_starts_a_pool(module: str) -> None:
    code = f"import sys, {module}; sys.exit(bool({{'torch', 'ray'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
