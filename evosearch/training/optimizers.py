"""PyTorch's optimizers as they are, but for what prepares them for its compiler.

The first call of an optimizer's method imports that compiler, which takes 1.2 of the 3.1 CPU seconds of a worker's start, though
nothing here is ever compiled. It is called by what decorates the methods; `inspect.unwrap` finds the methods themselves.
"""

from inspect import unwrap
from typing import TypeVar

import torch
from torch import optim

Kind = TypeVar("Kind", bound=optim.Optimizer)

METHODS = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


def uncompiled(kind: type[Kind]) -> type[Kind]:
    """A class of optimizers that compute, bit for bit, what those of `kind` do."""
    methods = {name: unwrap(getattr(kind, name)) for name in METHODS}
    step = torch.no_grad()(
        unwrap(kind.step)
    )  # the decorator's other half, where nobody differentiates through a step
    made: type[Kind] = type(kind.__name__, (kind,), {**methods, "step": step})
    return made


Adam = uncompiled(optim.Adam)
SGD = uncompiled(optim.SGD)
Adadelta = uncompiled(optim.Adadelta)
RMSprop = uncompiled(optim.RMSprop)
