import mmap
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from workers.worker.recycling import (
    HeldMemory,
    _cpu_has_bf16,
    capacity,
    held,
    precisions_of,
    processor_of,
    release,
)


def test_the_memory_of_this_process_is_that_which_the_system_tells() -> None:
    found = held().host
    assert found
    assert found == pytest.approx(psutil.Process().memory_info().rss, rel=0.05)


def test_what_a_process_holds_is_seen_to_grow_and_to_shrink() -> None:
    # A block of the allocator's may lie in memory that this process holds already; a mapping of its own does not.
    before = held().host
    block = mmap.mmap(-1, 2**27)
    for page in range(0, len(block), mmap.PAGESIZE):
        block[page] = 1
    grown = held().host
    block.close()
    after = held().host
    assert before
    assert grown
    assert after
    assert grown - before > 2**26
    assert after - before < 2**26


def test_on_a_system_without_such_a_file_memory_is_not_known(tmp_path: Path) -> None:
    assert held(tmp_path / "statm").host is None


def test_a_processor_is_its_model_and_the_instructions_that_torch_uses_of_it() -> None:
    model, _, instructions = processor_of("cpu").rpartition(" with ")
    assert model
    assert instructions == torch.backends.cpu.get_cpu_capability()


@pytest.mark.parametrize(
    ("flags", "precisions"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, ("fp32", "bf16")),
        ({"avx512_bf16": False, "amx_bf16": True}, ("fp32", "bf16")),
        ({"avx2": True}, ("fp32",)),
    ],
)
def test_a_cpu_computes_bf16_where_it_has_instructions_for_it_and_never_tf32(
    monkeypatch: pytest.MonkeyPatch, flags: dict[str, bool], precisions: tuple[str, ...]
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags, raising=False)
    assert precisions_of("cpu") == precisions


@pytest.mark.parametrize(("text", "can"), [("flags : avx2 avx512_bf16 x", True), ("flags : avx2", False)])
def test_where_pytorch_does_not_say_it_the_system_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, can: bool
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    (tmp_path / "cpuinfo").write_text(text)
    assert _cpu_has_bf16(torch, tmp_path / "cpuinfo") is can
    assert not _cpu_has_bf16(torch, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("capability", "precisions"),
    [((7, 5), ("fp32",)), ((8, 0), ("fp32", "tf32", "bf16")), ((12, 0), ("fp32", "tf32", "bf16"))],
)
def test_a_gpu_computes_tf32_and_bf16_from_compute_capability_8_on(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], precisions: tuple[str, ...]
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.version, "hip", None)
    assert precisions_of("cuda:0") == precisions


def test_torch_is_not_loaded_to_ask() -> None:
    code = (
        "import sys; from workers.worker.recycling import capacity, held, precisions_of, processor_of, release; release(); "
        "assert not processor_of('cpu'); assert precisions_of('cpu') is None; "
        "assert held().device is None; assert capacity('cuda:0') is None; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_cpu_has_no_capacity() -> None:
    assert capacity("cpu") is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_a_gpu_tells_its_capacity_and_what_is_reserved_there_until_it_is_released() -> None:
    total = capacity("cuda:0")
    assert total
    assert total > 2**30
    block = torch.zeros(2**28, dtype=torch.uint8, device="cuda:0")
    assert isinstance(held(), HeldMemory)
    grown = held().device
    del block
    release()
    after = held().device
    assert grown is not None
    assert after is not None
    assert grown - after >= 2**28
