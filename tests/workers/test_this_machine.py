import os
from pathlib import Path

import pytest

from evosearch.errors import CannotRunError
from workers.slots import (
    count_cores,
    count_gpus,
    driver_trouble,
    gpu_environment,
    gpus_for,
    thread_environment,
)


def _with_gpus(folder: Path, number: int) -> dict[str, str]:
    """An environment whose nvidia-smi lists so many GPUs."""
    command = folder / "nvidia-smi"
    lines = "".join(f"echo 'GPU {index}: NVIDIA H100 (UUID: GPU-{index})'\n" for index in range(number))
    command.write_text(f"#!/bin/sh\n{lines}")
    command.chmod(0o755)
    return {"PATH": str(folder)}


def test_without_nvidia_smi_there_is_no_gpu(tmp_path: Path) -> None:
    assert count_gpus({"PATH": str(tmp_path), "CUDA_VISIBLE_DEVICES": "0,1"}) == 0


@pytest.mark.parametrize(
    ("visible", "seen"), [(None, 4), ("0,2", 2), ("", 0), ("-1", 0), ("GPU-3", 1), ("0,1,2,3,4,5", 4)]
)
def test_gpus_are_those_present_and_visible(tmp_path: Path, visible: str | None, seen: int) -> None:
    environment = _with_gpus(tmp_path, 4) | ({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    assert count_gpus(environment) == seen


def _with_smi(folder: Path, *lines: str) -> dict[str, str]:
    command = folder / "nvidia-smi"
    command.write_text("\n".join(("#!/bin/sh", *lines)))
    command.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def test_a_gpu_machine_without_a_working_driver_is_told_and_named(tmp_path: Path) -> None:
    environment = _with_smi(tmp_path, "echo 'NVIDIA-SMI has failed' >&2", "exit 9")
    told = r"nvidia-smi ends with 9 \(NVIDIA-SMI has failed\): this is a GPU machine without .* workers\.device: cpu"
    with pytest.raises(CannotRunError, match=told):
        count_gpus(environment)
    assert count_gpus(environment | {"CUDA_VISIBLE_DEVICES": ""}) == 0  # who wants none need not ask


def test_a_driver_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    environment = _with_smi(tmp_path, "exec sleep 1000")
    with pytest.raises(CannotRunError, match=r"nvidia-smi does not answer within 0 s: this is a GPU machine"):
        count_gpus(environment, seconds=0.2)


def test_a_driver_that_works_and_finds_no_gpu_means_none(tmp_path: Path) -> None:
    assert count_gpus(_with_smi(tmp_path, "echo 'No devices were found'", "exit 6")) == 0


def test_the_trouble_of_a_driver_is_told_in_half_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", _with_smi(tmp_path, "exit 9")["PATH"])
    assert driver_trouble() == "nvidia-smi ends with 9: this is a GPU machine without a working driver"
    with pytest.raises(CannotRunError):
        gpus_for("auto")
    assert gpus_for("cpu") == 0  # unasked
    monkeypatch.setenv("PATH", _with_smi(tmp_path, "exit 0")["PATH"])
    assert driver_trouble() is None


def test_a_worker_sees_its_own_gpu_only() -> None:
    assert gpu_environment(1, {}) == {"CUDA_VISIBLE_DEVICES": "1"}
    assert gpu_environment(1, {"CUDA_VISIBLE_DEVICES": "4, 6"}) == {"CUDA_VISIBLE_DEVICES": "6"}


@pytest.mark.parametrize(("quota", "cores"), [("100000 100000", 1), ("50000 100000", 1)])
def test_a_container_has_no_more_cores_than_its_quota(tmp_path: Path, quota: str, cores: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert count_cores(file) == cores


def test_a_container_without_a_quota_has_the_cores_of_its_machine(tmp_path: Path) -> None:
    file = tmp_path / "cpu.max"
    file.write_text("max 100000")
    assert count_cores(file) == count_cores(tmp_path / "absent") >= 1


def test_all_numeric_libraries_are_held_to_the_threads() -> None:
    assert set(thread_environment(3).values()) == {"3"}
    assert "OMP_NUM_THREADS" in thread_environment(3)
