"""How many workers share a GPU where that is left to it."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evosearch.runtime import CONTEXT, PoolChanged, PoolEvent, Worker, WorkerJoined, WorkerSettings
from evosearch.testing.pool_contract import gather, tiny_data
from tests.workers.pretended import GIB, Pretended
from workers import make_pool
from workers.packing import COMMITTED, Curve, Packing, Sharing, read_curves

LITTLE = Packing(side=64, need=GIB, threads=1, curves={})
"""What memory and cores hardly bound."""
MEASURED = {
    "H100": {
        32: Curve({1: 1.0, 4: 3.0, 8: 5.0, 16: 6.0}, mps=True),
        64: Curve({1: 1.0, 4: 3.0, 8: 4.0, 16: 3.5}, mps=True),
        224: Curve({1: 1.0, 4: 1.0}, mps=False),
    }
}


@pytest.mark.parametrize(("side", "number"), [(32, 4), (95, 4), (96, 1), (224, 1)])
def test_a_gpu_of_a_model_that_was_not_measured_bears_four_below_96_pixels_else_one(
    side: int, number: int
) -> None:
    found = replace(LITTLE, side=side).on("H100", 80 * GIB, 64)
    assert found.number == number
    assert f"H100, {side} px: unmeasured model, so {number} " in found.reason


def test_memory_that_holds_fewer_is_the_limit() -> None:
    found = replace(LITTLE, need=30 * GIB).on("H100", 80 * GIB, 64)
    assert found.number == 2
    assert found.reason.endswith("; memory would allow 2, cores 64")


def test_cores_that_let_fewer_run_are_the_limit() -> None:
    assert LITTLE.on("H100", 80 * GIB, 3).number == 3
    assert replace(LITTLE, threads=2).on("H100", 80 * GIB, 7).number == 3, "each takes two"


@pytest.mark.parametrize(("memory", "cores"), [(GIB // 2, 64), (80 * GIB, 0)])
def test_one_there_always_is(memory: int, cores: int) -> None:
    assert LITTLE.on("H100", memory, cores).number == 1


def test_a_measured_model_gets_its_best_number_within_memory_and_cores() -> None:
    packing = replace(LITTLE, curves=MEASURED)
    found = packing.on("H100", 80 * GIB, 64)
    assert str(found) == (
        "workers.per_gpu: auto is 8 (H100, 64 px: best of 1, 4, 8, 16 measured under MPS at 64 px is 8; "
        "memory would allow 80, cores 64)"
    )
    assert packing.on("H100", 80 * GIB, 6).number == 6
    assert packing.on("H100", 5 * GIB, 64).number == 5
    assert packing.on("H200", 80 * GIB, 64).number == 4, "another model"


@pytest.mark.parametrize(("side", "number"), [(8, 16), (33, 8), (65, 1), (225, 1)])
def test_images_of_another_side_go_by_the_next_larger_one_that_was_measured(side: int, number: int) -> None:
    assert replace(LITTLE, side=side, curves=MEASURED).on("H100", 80 * GIB, 64).number == number


def test_a_measured_model_whose_curves_end_below_these_images_is_unmeasured_here() -> None:
    curves = {"H100": {32: MEASURED["H100"][32]}}
    found = replace(LITTLE, curves=curves).on("H100", 80 * GIB, 64)
    assert found.number == 4
    assert "unmeasured at this size, so 4 below 96 px" in found.reason


def test_where_nothing_is_known_of_memory_one_has_the_gpu_and_the_line_says_why() -> None:
    found = LITTLE.on("", None, 64)
    assert (found.number, found.reason) == (
        1,
        "a GPU of unknown model, 64 px: unmeasured model, so 4 below 96 px; its memory is not known and allows 1, cores 64",
    )
    found = replace(LITTLE, need=None).on("H100", 80 * GIB, 64)
    assert found.number == 1
    assert "what a training takes is not predicted, so memory allows 1" in found.reason


def test_a_worker_needs_the_training_the_context_and_the_images() -> None:
    data = tiny_data()
    packing = Packing.of(data, 1000, threads=2)
    images = data.train.images.nbytes + data.validation.images.nbytes
    assert (packing.side, packing.need, packing.threads) == (8, 1000 + CONTEXT + images, 2)
    assert Packing.of(data, None, threads=2).need is None


# The committed curves


def test_the_committed_file_can_be_read_and_the_page_says_whether_there_is_anything_in_it() -> None:
    page = Path(__file__, "../../../docs/operations.md").resolve().read_text("utf-8")
    assert ("No curve is committed yet" in page) == (not read_curves(COMMITTED.read_text("utf-8")))


def test_curves_are_read() -> None:
    rates = {"1": 1, "4": 3.0, "8": 4.0, "16": 3.5}
    text = json.dumps({"H100": {"64": {"mps": True, "steps_per_second": rates}}})
    assert read_curves(text) == {"H100": {64: MEASURED["H100"][64]}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", r"the file: \[\] is no mapping"),
        ('{"H100": 4}', "H100: 4 is no mapping"),
        ('{"H100": {"64px": {}}}', "H100, side: '64px' is no whole number from 1 up"),
        ('{"H100": {"064": {}}}', "'064' is no whole number"),
        ('{"H100": {"64": {"1": 4.0}}}', "H100, 64 px: expected mps"),
        ('{"H100": {"64": {"mps": 1, "steps_per_second": {"1": 4.0}}}}', "H100, 64 px: expected mps"),
        ('{"H100": {"64": {"mps": true, "steps_per_second": {"1": 4.0}, "x": 1}}}', "expected mps"),
        ('{"H100": {"64": {"mps": true, "steps_per_second": {"0": 4.0}}}}', "'0' is no whole number"),
        (
            '{"H100": {"64": {"mps": true, "steps_per_second": {"4": 4.0}}}}',
            "what one process does alone is missing",
        ),
        ('{"H100": {"64": {"mps": true, "steps_per_second": {"1": 0}}}}', "0 are no steps per second"),
        ('{"H100": {"64": {"mps": true, "steps_per_second": {"1": NaN}}}}', "nan are no steps per second"),
        ('{"H100": {"64": {"mps": true, "steps_per_second": {"1": true}}}}', "True are no steps"),
        ('{"H100": {}, "H100": {}}', "a key stands twice among H100, H100"),
        ("{", "Expecting property name"),
    ],
)
def test_a_file_of_another_form_is_refused_with_the_place(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_curves(text)


def test_of_equal_numbers_the_lower_is_the_best() -> None:
    assert Curve({8: 2.0, 4: 2.0, 1: 1.0}, mps=False).best == 4


# The GPUs of one machine


def _sharing(most: int | None = None, gpus: int = 2, cores: int = 64) -> Sharing:
    every = [f"cuda:{number}" for number in range(gpus)]
    return Sharing(replace(LITTLE, need=20 * GIB), cores, every, most)


def _worker(gib: int = 80, model: str = "H100") -> Worker:
    return Worker("w", "here/cuda:0", gib * GIB, model)


def test_the_others_of_a_gpu_start_once_its_first_worker_is_ready_and_it_is_told_once() -> None:
    sharing = _sharing()
    others, told = sharing.saw("cuda:1", _worker())
    assert (others, told[:26]) == (["cuda:1"] * 3, "workers.per_gpu: auto is 4")
    assert sharing.saw("cuda:1", _worker()) == ((), "")
    assert sharing.saw("cuda:0", _worker()) == (["cuda:0"] * 3, "")


def test_gpus_of_a_machine_that_differ_get_other_numbers() -> None:
    sharing = _sharing()
    assert sharing.saw("cuda:0", _worker())[0] == ["cuda:0"] * 3
    others, told = sharing.saw("cuda:1", _worker(45, "Old"))
    assert others == ["cuda:1"]
    assert "auto is 2 (Old, 64 px: " in told


def test_the_cores_of_a_machine_are_shared_by_its_gpus() -> None:
    assert _sharing(cores=7).saw("cuda:0", _worker())[0] == ["cuda:0"] * 2


def test_a_limit_is_shared_with_gpus_that_are_not_known_yet_and_what_these_do_not_take_comes_back() -> None:
    sharing = _sharing(most=6)
    assert sharing.saw("cuda:0", _worker())[0] == ["cuda:0"] * 2
    assert sharing.saw("cuda:1", _worker(20))[0] == ["cuda:0"], "four and one"


def test_a_limit_holds_whatever_comes() -> None:
    sharing = _sharing(most=3, gpus=3)
    for number in range(3):
        assert not sharing.saw(f"cuda:{number}", _worker())[0]


# The pool of processes


def _joined(events: list[PoolEvent]) -> list[Worker]:
    return [event.worker for event in events if isinstance(event, WorkerJoined)]


def _told(events: list[PoolEvent]) -> list[str]:
    """Of the number of workers; whether they use MPS is another matter."""
    lines = [event.text for event in events if isinstance(event, PoolChanged)]
    return [line for line in lines if "without MPS" not in line]


def _pool(monkeypatch: pytest.MonkeyPatch, gpus: str, per_gpu: Any, most: int | None = None) -> Any:
    monkeypatch.setattr("workers.slots.gpus_for", lambda device: gpus.count(",") + 1)
    monkeypatch.setattr("workers.slots.count_cores", lambda: 64)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PRETENDED", gpus)
    peak = 20 * GIB - CONTEXT - tiny_data().train.images.nbytes - tiny_data().validation.images.nbytes
    settings = WorkerSettings(per_gpu=per_gpu)
    return make_pool("local", settings, 1, Pretended(), tiny_data(), None, most, peak)


def test_each_gpu_of_this_machine_gets_its_number_of_processes_and_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with closing(_pool(monkeypatch, "Large 60,Little 20", "auto")) as pool:
        pool.start()
        assert pool.ordered == 2
        events = gather(pool, lambda events: len(_joined(events)) == 4)
        assert pool.settled
        assert pool.ordered == 4
    assert sorted(worker.device.rpartition("/")[2] for worker in _joined(events)) == [
        *["cuda:0"] * 3,
        "cuda:1",
    ]
    told = sorted(_told(events))
    assert [line.partition(" px")[0] for line in told] == [
        "workers.per_gpu: auto is 1 (Little, 8",
        "workers.per_gpu: auto is 3 (Large, 8",
    ]


def test_no_more_processes_start_than_there_is_work_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(_pool(monkeypatch, "Large 80", "auto", most=2)) as pool:
        pool.start()
        gather(pool, lambda events: len(_joined(events)) == 2)
        assert pool.ordered == 2


def test_a_given_number_is_what_starts_and_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(_pool(monkeypatch, "Little 20", 2)) as pool:
        pool.start()
        assert pool.ordered == 2
        events = gather(pool, lambda events: len(_joined(events)) == 2)
    assert not _told(events)
