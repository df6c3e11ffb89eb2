from collections.abc import Callable

import pytest
import torch

from evosearch.evaluation import TrainingSettings
from evosearch.training.numerics import numerics


def state() -> tuple[object, ...]:
    return (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.allow_tf32,
        torch.get_float32_matmul_precision(),
    )


def test_settings_decide_threads_and_kernels() -> None:
    with numerics(TrainingSettings(threads=2)):
        assert state() == (2, True, False, False, True, False, False, "highest")
    with numerics(TrainingSettings(deterministic=False)):
        assert state() == (1, False, False, False, False, False, False, "highest")
    with numerics(TrainingSettings(precision="tf32")):
        assert state() == (1, True, False, False, True, False, True, "high")


def fails() -> None:
    raise RuntimeError("on the way")


@pytest.mark.parametrize("inside", [lambda: None, fails])
def test_nothing_of_it_is_left_behind(inside: Callable[[], None]) -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_float32_matmul_precision("high")
    before = state()
    try:
        with numerics(TrainingSettings(threads=2)):
            inside()
    except RuntimeError:
        pass
    finally:
        after = state()
        torch.use_deterministic_algorithms(False)
        torch.set_float32_matmul_precision("highest")
    assert after == before
