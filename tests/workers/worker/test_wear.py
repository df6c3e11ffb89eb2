from collections.abc import Callable, Iterator

import pytest

from workers.worker.recycling import MIB, HeldMemory, Wear


def _sizes(*hosts: int | None, device: int | None = None) -> Callable[[], HeldMemory]:
    mebibytes = iter(hosts)
    return lambda: HeldMemory(_bytes(next(mebibytes)), _bytes(device))


def _bytes(mebibytes: int | None) -> int | None:
    return None if mebibytes is None else mebibytes * MIB


def test_a_process_leaves_with_its_last_evaluation() -> None:
    wear = Wear(3, None)
    assert [wear.evaluated() for _ in range(3)] == ["", "", "recycled after 3 evaluations"]


def test_without_limits_a_process_stays_for_ever_and_is_not_even_measured() -> None:
    wear = Wear(None, None, held=_sizes(), release=lambda: pytest.fail("it has nothing to give back"))
    assert {wear.evaluated() for _ in range(1000)} == {""}


def test_growth_counts_from_the_first_evaluation_and_a_little_is_allowed() -> None:
    wear = Wear(None, 1024, held=_sizes(5000, 5900, 6024, 6025, 6025), release=lambda: None)
    assert [wear.evaluated() for _ in range(3)] == ["", "", ""]
    assert wear.evaluated() == (
        "recycled: it holds 5.9 GiB of host memory, 1.0 GiB more than after its first evaluation"
    )


def test_growth_on_the_device_counts_alike() -> None:
    sizes: Iterator[HeldMemory] = iter(
        [HeldMemory(None, 0), HeldMemory(None, 3 * 1024 * MIB), HeldMemory(None, 3 * 1024 * MIB)]
    )
    wear = Wear(None, 2048, held=lambda: next(sizes), release=lambda: None)
    assert not wear.evaluated()
    assert wear.evaluated().startswith("recycled: it holds 3.0 GiB of device memory, 3.0 GiB more")


def test_what_was_only_garbage_is_given_back_and_the_process_stays() -> None:
    released: list[int] = []
    wear = Wear(None, 10, held=_sizes(100, 200, 100), release=lambda: released.append(1))
    assert [wear.evaluated(), wear.evaluated()] == ["", ""]
    assert len(released) == 2, "before the first measurement, and before the verdict"


def test_where_memory_cannot_be_measured_nobody_leaves_for_it() -> None:
    wear = Wear(None, 1, held=lambda: HeldMemory(None, None), release=lambda: None)
    assert [wear.evaluated() for _ in range(3)] == [""] * 3
