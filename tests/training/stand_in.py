"""What a CUDA graph does, on a CPU: a recorder that captures without computing, and replays at the addresses it saw.

While it records, every operator runs on copies of what it would write, and what it makes is filled with rubbish: so nothing
that lived before changes, as on a GPU that is capturing, and no number that a kernel would make can be read. A replay runs the
same operators on the very memory. Memory from outside is known by its address alone: where it is gone, because the tensor that
a step reads was replaced by another, the replay fails.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "item"}
"""Operators that wait for the device, which ends a capture."""

WRITTEN_UNSAID = {"running_mean", "running_var"}
"""Arguments that batch norm changes without saying so in its schema."""


class ReboundError(AssertionError):
    """A replay reads or writes memory that is no longer there."""


@dataclass(frozen=True)
class Address:
    """Memory that was there before the capture."""

    storage: StorageWeakRef
    dtype: torch.dtype
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @classmethod
    def of(cls, tensor: Tensor) -> "Address":
        return cls(
            StorageWeakRef(tensor.untyped_storage()),
            tensor.dtype,
            tensor.storage_offset(),
            tuple(tensor.shape),
            tensor.stride(),
        )

    def tensor(self) -> Tensor:
        storage = (
            None if self.storage.expired() else torch.UntypedStorage._new_with_weak_ptr(self.storage.cdata)
        )
        if storage is None:
            raise ReboundError(
                f"a tensor {self.size} that the capture saw is gone: it was replaced by another"
            )
        return torch.empty(0, dtype=self.dtype).set_(storage, self.offset, self.size, self.stride)


@dataclass(frozen=True)
class Call:
    """An operator as it was captured. `made`: the tensors that it makes, by their place in its result."""

    operator: Any
    arguments: Sequence[Any]
    keywords: Mapping[str, Any]
    made: Mapping[int, Tensor]
    inference: bool
    """Whether it was in inference mode: kernels may choose by that."""

    def again(self) -> None:
        arguments, keywords = tree_map_only(Address, Address.tensor, (self.arguments, self.keywords))
        # below autograd, where it was seen; with gradients wanted, as then
        with torch.inference_mode() if self.inference else torch._C._AutoDispatchBelowAutograd():
            results = tree_flatten(self.operator(*arguments, **keywords))[0]
            for place, tensor in self.made.items():
                tensor.copy_(results[place])


class Watched(TorchDispatchMode):
    """Within, nothing is otherwise, but that there is such a mode: the backward pass of some modules (EfficientNet's) takes
    other kernels then. What is recorded on a CPU is compared with what is computed within.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return func(*args, **(kwargs or {}))


class Recording(TorchDispatchMode):
    """Within, operators are noted and change nothing that was there."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._own: dict[int, Tensor] = {}
        """By the address of its storage, one tensor of each that was made while this is entered."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        keywords = dict(kwargs or {})
        if func.overloadpacket.__name__ in WAITS:
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        copies: dict[int, Tensor] = {}
        lent = [self._lent(func, place, one, copies) for place, one in enumerate(args)]
        named = {name: self._lent(func, name, one, copies) for name, one in keywords.items()}
        result = func(*lent, **named)
        held = {_storage(one) for one in tree_flatten((lent, named))[0] if isinstance(one, Tensor)}
        originals = {id(copy): original for original, copy in _pairs(args, lent, keywords, named)}
        made: dict[int, Tensor] = {}
        lost = {_storage(copy) for copy in copies.values()}
        for place, one in enumerate(tree_flatten(result)[0]):
            assert not isinstance(one, Tensor) or id(one) in originals or _storage(one) not in lost, func
            if isinstance(one, Tensor) and _storage(one) not in held and id(one) not in originals:
                _spoil(one)
                made[place] = one
                self._own[_storage(one)] = one
        if made or copies:
            self.calls.append(
                Call(
                    func,
                    *tree_map_only(Tensor, self._remembered, (list(args), keywords)),
                    made,
                    torch.is_inference_mode_enabled(),
                )
            )
        return tree_map_only(Tensor, lambda one: originals.get(id(one), one), result)

    def _lent(self, func: Any, place: int | str, value: Any, copies: dict[int, Tensor]) -> Any:
        """The argument, or a copy of it where the operator would write into it."""
        schema = func._schema.arguments
        about = schema[place] if isinstance(place, int) else next(one for one in schema if one.name == place)
        written = (about.alias_info is not None and about.alias_info.is_write) or about.name in WRITTEN_UNSAID
        if not written:
            return value

        def copied(tensor: Tensor) -> Tensor:
            copy = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype).copy_(tensor)
            copies[id(copy)] = copy
            return copy

        return tree_map_only(Tensor, copied, value)

    def _remembered(self, tensor: Tensor) -> Tensor | Address:
        return tensor if _storage(tensor) in self._own else Address.of(tensor)


def _pairs(args: Any, lent: Any, keywords: Any, named: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Each tensor that was copied, and its copy."""
    before, after = tree_flatten((list(args), keywords))[0], tree_flatten((lent, named))[0]
    return ((one, other) for one, other in zip(before, after, strict=True) if one is not other)


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _spoil(tensor: Tensor) -> None:
    """No kernel has run: what lies there means nothing. Positions stay such that no operator refuses them."""
    if tensor.dtype.is_floating_point:
        tensor.fill_(math.nan)
    else:
        tensor.zero_()


class Graph:
    """What was recorded; `replays`: how often it was done."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls: Sequence[Call] | None = calls
        self.replays = 0

    def replay(self) -> None:
        if self._calls is None:
            raise ReboundError("a graph is replayed after it was destroyed")
        self.replays += 1
        for call in self._calls:
            call.again()

    def reset(self) -> None:
        self._calls = None


class StandIn:
    """A `Recorder`. `fails`: which recording does, from 1; none by default."""

    def __init__(self, fails: int | None = None) -> None:
        self.graphs: list[Graph] = []
        self._fails = fails

    def record(self, work: Callable[[], None]) -> Graph:
        with _drawing_nothing(), Recording() as recording:
            work()
            if self._fails == len(self.graphs) + 1:
                raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nand more")
        graph = Graph(recording.calls)
        self.graphs.append(graph)
        return graph


@contextmanager
def _drawing_nothing() -> Iterator[None]:
    drawn = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(drawn)
