"""Everything outside a task's own random numbers that could change its bits."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from evosearch.evaluation import TrainingSettings


@contextmanager
def numerics(settings: TrainingSettings) -> Iterator[None]:
    """Set threads, kernels and fp32 arithmetic as `settings` say; on leaving, all is as it was.

    fp32 means IEEE: TF32 is off, which cuDNN would use by default; tf32 turns it on. cuDNN never benchmarks, since its choice
    of kernel depends on what else the device does. The number of threads decides how sums are split, so it
    belongs here too.
    """
    # cuBLAS reads it when its first handle is made; without it two equal products may differ
    # (https://docs.nvidia.com/cuda/cublas/#results-reproducibility)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads, matmul = torch.get_num_threads(), torch.get_float32_matmul_precision()
    tf32 = settings.precision == "tf32"
    # the same switch as `use_deterministic_algorithms`, which would import PyTorch's compiler to tell it, too
    deterministic = torch.get_deterministic_debug_mode()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined] # set by torch at run time
    try:
        torch.set_num_threads(settings.threads)
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.set_deterministic_debug_mode("error" if settings.deterministic else "default")
        # a debugging aid that overwrites every fresh tensor; no kernel here reads one before writing it
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined] # set by torch at run time
        with torch.backends.cudnn.flags(
            enabled=True,
            benchmark=False,
            deterministic=settings.deterministic,
            allow_tf32=tf32,
            fp32_precision="tf32" if tf32 else "ieee",
        ):
            yield
    finally:
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined] # set by torch at run time
        torch.set_deterministic_debug_mode(deterministic)
        torch.set_float32_matmul_precision(matmul)
        torch.set_num_threads(threads)
