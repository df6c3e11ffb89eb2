"""Workers that say they have a GPU, on machines that have none."""

import os
import sys
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

from evosearch.data import SearchData
from evosearch.evaluation import Evaluator
from evosearch.testing import FormulaEvaluator

GIB = 2**30


@dataclass(frozen=True)
class Pretended:
    """A factory in whose process torch says what the variable PRETENDED has, "MODEL GIB", of the only GPU; where processes see other
    GPUs, it has one for each, "MODEL GIB,MODEL GIB".
    """

    def __call__(self, data: SearchData, device: str) -> Evaluator:
        every = os.environ["PRETENDED"].split(",")
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
        model, _, size = every[int(seen) if len(every) > 1 else 0].rpartition(" ")
        torch = ModuleType("torch")
        torch.version = SimpleNamespace(hip=None)
        torch.cuda = SimpleNamespace(
            get_device_properties=lambda device: SimpleNamespace(total_memory=int(size) * GIB),
            get_device_name=lambda device: model,
            get_device_capability=lambda device: (9, 0),
            is_initialized=lambda: False,
        )
        sys.modules["torch"] = torch
        return FormulaEvaluator()(data, device)
