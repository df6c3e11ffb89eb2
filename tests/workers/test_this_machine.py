from pathlib import Path

import pytest

from workers.slots import count_cores, count_gpus, gpu_environment, thread_environment


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


def test_a_driver_that_does_not_answer_means_no_gpu(tmp_path: Path) -> None:
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    command.chmod(0o755)
    assert count_gpus({"PATH": str(tmp_path)}) == 0


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
