import pytest

from evosearch.bench.parts import Interval
from evosearch.bench.promises import Promise, promises


def told(device, instructions, size, epochs, *, files=True):
    found = promises(device, instructions, size, epochs, files=files)
    return {one.what: str(one) for one in found}


@pytest.mark.parametrize(
    ("instructions", "size", "epochs", "expected"),
    [
        ("avx512_bf16", 32, 100, {"ours/N0": "at least 3.2", "ours/N1": "not below 1.0"}),
        ("avx512_bf16", 32, 8, {"ours/N0": "at least 3.5", "ours/N1": "at least 1.3"}),
        ("avx512_bf16", 64, 100, {"ours/N0": "at least 3", "ours/N1": "at least 1.2"}),
        ("avx512_bf16", 64, 8, {}),
        ("avx512_bf16", 224, 100, {}),
        ("AVX2", 32, 100, {"ours/N0": "at least 2"}),
        ("AVX2", 64, 100, {"ours/N0": "at least 1.7"}),
        ("amx_bf16", 32, 100, {}),
    ],
)
def test_on_a_cpu_promises_depend_on_instructions_size_and_epochs(instructions, size, epochs, expected):
    assert told("cpu", instructions, size, epochs) == expected


def test_nothing_is_promised_of_drawn_images_on_a_cpu():
    assert told("cpu", "avx512_bf16", 32, 100, files=False) == {}


def test_on_a_gpu_predictions_are_told_by_size():
    assert told("cuda", "compute capability 9.0", 64, 100) == {
        "ours/N1": "at least 4",
        "ours p/N1": "at least 6",
        "ours p/N1p": "at least 1.3",
        "unfused_fraction of ours p": "at least 0.5",
        "setup_ms of ours": "at most 150",
    }
    assert told("cuda", "compute capability 9.0", 32, 100)["ours/N1"] == "at least 8"
    assert told("cuda", "compute capability 9.0", 224, 100) == {"ours/N1": "at least 1.2"}
    assert told("cuda", "compute capability 9.0", 64, 8) == {}


def test_a_promise_is_judged_by_the_median_and_not_below_by_where_the_spread_reaches():
    spread = {"r": Interval(0.98, 0.95, 1.01)}
    assert Promise("r", 1.0, reached=True).verdict(spread) == "held"
    assert Promise("r", 1.0).verdict(spread) == "MISSED"
    assert Promise("r", 1.02, reached=True).verdict(spread) == "MISSED"
    assert Promise("r", at_most=0.98).verdict(spread) == "held"
    assert Promise("r", at_most=0.97).verdict(spread) == "MISSED"
    assert Promise("r", 1.0).verdict({}) == "void"
