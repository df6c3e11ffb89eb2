import pytest
import torch

from evosearch.errors import DivergedError, InvalidChromosomeError, TimedOutError
from evosearch.evaluation import FailureKind
from evosearch.genome import parse
from workers.worker.classify import LONGEST, classify, poisons_process

CPU_ALLOCATOR = "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"
ASSERTED = "CUDA error: device-side assert triggered\nCompile with `TORCH_USE_CUDA_DSA`"


class _RayOutOfMemoryError(Exception):
    """Stands for `ray.exceptions.OutOfMemoryError`: known by its name."""


_RayOutOfMemoryError.__name__ = "OutOfMemoryError"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), FailureKind.OUT_OF_MEMORY),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), FailureKind.OUT_OF_MEMORY),
        (_RayOutOfMemoryError("node ran low"), FailureKind.OUT_OF_MEMORY),
        (RuntimeError(CPU_ALLOCATOR), FailureKind.OUT_OF_MEMORY),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), FailureKind.OUT_OF_MEMORY),
        (RuntimeError("CUDA error: out of memory"), FailureKind.OUT_OF_MEMORY),
        (DivergedError("the loss became nan"), FailureKind.DIVERGED),
        (TimedOutError("took 12 s"), FailureKind.TIMED_OUT),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), FailureKind.ERROR),
        (FileNotFoundError("no weights"), FailureKind.ERROR),
    ],
)
def test_an_exception_has_a_kind(error: Exception, kind: FailureKind) -> None:
    assert classify(error).kind is kind


def test_a_refused_allocation_of_the_host_is_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert classify(caught.value).kind is FailureKind.OUT_OF_MEMORY


def test_the_message_is_one_line_with_type_text_and_place_in_this_project() -> None:
    with pytest.raises(InvalidChromosomeError) as caught:
        parse("nonsense")
    message = classify(caught.value).message
    assert message.startswith("InvalidChromosomeError: 'nonsense' has no '|'")
    assert "(evosearch/genome/text.py:" in message
    assert "\n" not in message


def test_what_was_raised_on_purpose_inside_a_worker_speaks_for_itself() -> None:
    assert classify(TimedOutError("took 12 s")).message == "took 12 s"


def test_a_page_of_text_is_cut() -> None:
    assert len(classify(ValueError("x\n" * 10_000)).message) < LONGEST + 50


def test_the_time_until_the_failure_is_kept() -> None:
    assert classify(ValueError(), seconds=1.5).seconds == 1.5


@pytest.mark.parametrize(
    ("error", "poisoned"),
    [
        (RuntimeError(ASSERTED), True),
        (torch.AcceleratorError(ASSERTED), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), True),
        (RuntimeError("CUDA driver error: unspecified launch failure"), True),
        (RuntimeError("Triton Error [CUDA]: an illegal memory access was encountered"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"), False),
        (torch.OutOfMemoryError("CUDA out of memory"), False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), False),
        (torch.AcceleratorError("CUDA error: out of memory"), False),
        (ValueError("CUDA error: said by someone else"), False),
    ],
)
def test_only_a_lost_cuda_context_poisons_the_process(error: Exception, poisoned: bool) -> None:
    assert poisons_process(error) is poisoned
