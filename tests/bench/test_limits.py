import pytest
import torch

from evosearch.bench import limits
from evosearch.bench.candidate import blueprint
from evosearch.bench.limits import Ceilings, bytes_of, instructions_of, measure_ceilings
from evosearch.genome import parse

PLAN = blueprint(parse("B2 P | F3"), 4)
WEIGHTS = (2 * 27 + 2) + 4 + (2 * 4 * 3 + 3) + (3 * 2 + 2)
"""Convolution, batch norm, dense layer, classes."""


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_fused_layers_write_what_convolutions_poolings_and_dense_layers_put_out():
    held = 2 * 16 + 2 * 4 + 3 + 2
    assert PLAN.parameters == WEIGHTS
    assert bytes_of(PLAN, 5, "bf16", fused=True) == 5 * 2 * 5 * held + 40 * WEIGHTS
    assert bytes_of(PLAN, 5, "fp32", fused=True) == 5 * 4 * 5 * held + 40 * WEIGHTS
    assert bytes_of(PLAN, 5, "fp32", fused=False) == 5 * 4 * 5 * PLAN.activations + 40 * WEIGHTS
    assert PLAN.activations > held


def test_the_limit_is_the_longer_of_arithmetic_and_memory():
    arithmetic = 3 * 16 * PLAN.flops
    assert Ceilings({"fp32": 1.0}, 1e30).limit(PLAN, 16, "fp32") == arithmetic
    moved = bytes_of(PLAN, 16, "fp32", fused=True)
    assert Ceilings({"fp32": 1e30}, 1.0).limit(PLAN, 16, "fp32") == moved
    assert Ceilings({"fp32": 1e30}, 1.0).limit(PLAN, 16, "fp32", fused=False) > moved


def test_ceilings_are_the_best_of_all_rounds():
    low, high = (
        Ceilings({"fp32": 1.0, "bf16": 4.0}, 5.0, 2e-6),
        Ceilings({"fp32": 2.0, "bf16": 3.0}, 4.0, 3e-6),
    )
    assert low.better(high) == Ceilings({"fp32": 2.0, "bf16": 4.0}, 5.0, 2e-6)
    cpu = Ceilings({"fp32": 1e9, "bf16": 2e9}, 3e9)
    assert cpu.better(cpu).to_json() == {
        "fp32_gflops_per_second": 1.0,
        "bf16_gflops_per_second": 2.0,
        "copy_gb_per_second": 3.0,
        "kernel_us": None,
    }


def test_they_are_measured_here():
    found = measure_ceilings("cpu", matrix=32, copied=2**16)
    assert set(found.flops) == {"fp32", "bf16"}
    assert min(found.copied, *found.flops.values()) > 0
    assert found.kernel is None


def test_instructions_are_the_best_that_a_cpu_has_for_bf16(monkeypatch):
    for flags, expected in (
        ({"amx_bf16": True, "avx512_bf16": True}, "amx_bf16"),
        ({"avx512_bf16": True}, "avx512_bf16"),
    ):
        monkeypatch.setattr(limits, "cpu_capabilities", lambda flags=flags: flags)
        assert instructions_of("cpu") == expected
        assert limits.computes_bf16("cpu")
    monkeypatch.setattr(limits, "cpu_capabilities", lambda: {"avx512_bf16": False})
    assert instructions_of("cpu") == torch.backends.cpu.get_cpu_capability()
    assert not limits.computes_bf16("cpu")


def test_where_torch_tells_no_capabilities_linux_does(monkeypatch, tmp_path):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    file = tmp_path / "cpuinfo"
    file.write_text("model name\t: A CPU\nflags\t: sse avx512_bf16\n")
    assert limits.cpu_capabilities(file)["avx512_bf16"]
    assert limits.processor("cpu", file) == "A CPU"
    assert limits.cpu_capabilities(tmp_path / "none") == {}
    assert limits.processor("cpu", tmp_path / "none")
