import pytest
from hypothesis import given
from hypothesis import strategies as st

from evosearch.errors import CannotRunError
from evosearch.runtime import Worker, WorkerSettings
from workers.slots import Slot, name_worker, plan_slots


def test_without_a_gpu_there_is_a_worker_per_core_divided_by_the_threads() -> None:
    assert plan_slots(WorkerSettings(), threads=1, gpus=0, cores=4) == (Slot("cpu", 1),) * 4
    assert plan_slots(WorkerSettings(), threads=2, gpus=0, cores=5) == (Slot("cpu", 2),) * 2


def test_there_is_one_worker_even_where_its_threads_outnumber_the_cores() -> None:
    assert plan_slots(WorkerSettings(), threads=4, gpus=0, cores=2) == (Slot("cpu", 4),)


def test_with_gpus_there_is_one_worker_on_each() -> None:
    slots = plan_slots(WorkerSettings(), threads=1, gpus=2, cores=64)
    assert slots == (Slot("cuda:0", 1), Slot("cuda:1", 1))


def test_workers_share_gpus_in_turn_where_several_are_asked_for() -> None:
    slots = plan_slots(WorkerSettings(per_gpu=2), threads=1, gpus=2, cores=64)
    assert [slot.device for slot in slots] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    slots = plan_slots(WorkerSettings(per_gpu=2, count=3), threads=1, gpus=2, cores=64)
    assert [slot.device for slot in slots] == ["cuda:0", "cuda:1", "cuda:0"]


def test_where_auto_decides_how_many_share_a_gpu_each_has_its_first_worker() -> None:
    slots = plan_slots(WorkerSettings(per_gpu="auto"), threads=1, gpus=2, cores=64)
    assert [slot.device for slot in slots] == ["cuda:0", "cuda:1"]
    assert len(plan_slots(WorkerSettings(per_gpu="auto", count=1), threads=1, gpus=2, cores=64)) == 1
    assert len(plan_slots(WorkerSettings(per_gpu="auto", count=9), threads=1, gpus=2, cores=64)) == 2, (
        "nobody knows yet that there is no room for them"
    )
    assert len(plan_slots(WorkerSettings(per_gpu="auto"), threads=1, gpus=0, cores=2)) == 2


def test_per_gpu_is_nothing_to_cores() -> None:
    assert len(plan_slots(WorkerSettings(per_gpu=4), threads=1, gpus=0, cores=2)) == 2


def test_device_cpu_leaves_gpus_alone() -> None:
    assert plan_slots(WorkerSettings(device="cpu"), threads=1, gpus=2, cores=2) == (Slot("cpu", 1),) * 2


def test_a_count_is_obeyed_on_cores_beyond_their_number() -> None:
    assert len(plan_slots(WorkerSettings(count=3), threads=1, gpus=0, cores=1)) == 3


def test_more_workers_than_gpus_cannot_run_and_the_message_has_both_numbers() -> None:
    told = r"workers\.count is 3, but 2 GPUs were found and each holds workers\.per_gpu = 1; "
    with pytest.raises(CannotRunError, match=told):
        plan_slots(WorkerSettings(count=3), threads=1, gpus=2, cores=64)
    told = r"workers\.count is 5, but 1 GPU was found and each holds workers\.per_gpu = 4; "
    with pytest.raises(CannotRunError, match=told):
        plan_slots(WorkerSettings(count=5, per_gpu=4), threads=1, gpus=1, cores=64)


def test_device_cuda_without_a_gpu_cannot_run() -> None:
    with pytest.raises(CannotRunError, match=r"workers\.device is cuda, but no GPU was found"):
        plan_slots(WorkerSettings(device="cuda"), threads=1, gpus=0, cores=64)


@given(st.integers(1, 8), st.integers(0, 8), st.integers(1, 64))
def test_default_slots_never_book_more_than_there_is(threads: int, gpus: int, cores: int) -> None:
    slots = plan_slots(WorkerSettings(), threads, gpus, cores)
    assert slots
    assert len(slots) == gpus or len(slots) == 1 or len(slots) * threads <= cores


def test_workers_are_named_by_host_device_and_serial_number() -> None:
    assert name_worker("node1", "cuda:0", 2) == Worker("node1-gpu0-2", "node1/cuda:0")
    assert name_worker("node1", "cpu", 3) == Worker("node1-cpu-3", "node1/cpu")


def test_more_workers_than_a_machine_bears_are_refused_with_the_numbers() -> None:
    with pytest.raises(
        CannotRunError, match=r"workers\.count is 1000, but this machine has 2 cores and bears 64"
    ):
        plan_slots(WorkerSettings(count=1000), threads=1, gpus=0, cores=2)


def test_more_workers_on_a_gpu_than_it_bears_are_refused_and_nothing_is_planned_for_them() -> None:
    with pytest.raises(CannotRunError, match=r"workers\.per_gpu is 1\d+, but a GPU bears 64 workers at most"):
        plan_slots(WorkerSettings(per_gpu=10**20), threads=1, gpus=1, cores=2)
    assert len(plan_slots(WorkerSettings(per_gpu=10**20), threads=1, gpus=0, cores=2)) == 2
