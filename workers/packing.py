"""How many workers share a GPU where `workers.per_gpu` is auto: the least of what its memory holds, what its cores let run, and the
number that was measured to be best on GPUs of that model.

What was measured stands in `packing.json` beside this file, by the GPU's name as CUDA tells it and the side of the images in pixels:

    {"NVIDIA H200": {"64": {"mps": true, "steps_per_second": {"1": 400.0, "4": 900.0, "8": 1100.0}}}}

(made-up figures). `steps_per_second` is what so many processes do together, `mps` whether they shared the GPU by NVIDIA's MPS.
`make gpu` writes such a file; its entries are added to the one here, in a commit. Images of another side go by the next larger one that
was measured: they keep the GPU busier, so that fewer processes are best for them.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from evosearch.data import SearchData
from evosearch.runtime import CONTEXT, MOST_PER_GPU, Worker

COMMITTED = Path(__file__).with_name("packing.json")

SMALL = 96
"""Pixels of a side. Below, the host and not the GPU is what a step waits for."""

UNMEASURED = 4
"""Workers for small images on a GPU of a model that was not measured; for others one."""


@dataclass(frozen=True)
class Curve:
    """What was measured on one model of GPU, for images of one side."""

    rates: Mapping[int, float]
    """Steps per second of so many processes together; what one alone does is among them."""
    mps: bool
    """Whether they shared the GPU by MPS."""

    @property
    def best(self) -> int:
        """The number that does most; of equal ones the least."""
        return min(self.rates, key=lambda number: (-self.rates[number], number))


Curves: TypeAlias = Mapping[str, Mapping[int, Curve]]
"""By model and side."""


def read_curves(text: str) -> Curves:
    """The curves that a file of the form above has.

    Raises:
        ValueError: it is not of that form; the message says where.
    """
    document = json.loads(text, object_pairs_hook=_once)
    return {
        model: {
            _number(f"{model}, side", side): _curve(f"{model}, {side} px", given)
            for side, given in _mapping(model, sides).items()
        }
        for model, sides in _mapping("the file", document).items()
    }


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key stands twice among {', '.join(key for key, _ in pairs)}")
    return found


def _mapping(place: str, given: object) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise ValueError(f"{place}: {given!r} is no mapping")
    return given


def _number(place: str, text: str) -> int:
    if not text.isdecimal() or str(int(text)) != text or text == "0":
        raise ValueError(f"{place}: {text!r} is no whole number from 1 up")
    return int(text)


def _curve(place: str, given: object) -> Curve:
    match given:
        case {"mps": bool(mps), "steps_per_second": dict(rates), **others} if not others:
            found = {_number(place, number): _rate(place, rate) for number, rate in rates.items()}
        case _:
            raise ValueError(f"{place}: expected mps (true or false) and steps_per_second, found {given!r}")
    if 1 not in found:
        raise ValueError(f"{place}: what one process does alone is missing")
    return Curve(found, mps)


def _rate(place: str, given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < math.inf:
        raise ValueError(f"{place}: {given!r} are no steps per second")
    return float(given)


@dataclass(frozen=True, slots=True)
class Packed:
    """How many workers share a GPU, and why."""

    number: int
    """From 1 up."""
    reason: str
    """Half a line."""

    def __str__(self) -> str:
        """For a person, at the start of a search."""
        return f"workers.per_gpu: auto is {self.number} ({self.reason})"


@dataclass(frozen=True)
class Packing:
    """What decides how many workers share a GPU, but for the GPU itself."""

    side: int
    """Of the images, in pixels; the longer one."""
    need: int | None
    """Bytes of a GPU that a worker with the largest of the first networks is expected to hold; None: nothing is predicted."""
    threads: int
    """Host threads of a worker, at least 1."""
    curves: Curves
    """What was measured."""

    @classmethod
    def of(cls, data: SearchData, peak: int | None, threads: int) -> "Packing":
        """For workers that hold `data`, where the largest training is expected to take `peak` bytes, by the committed curves."""
        images = data.train.images.nbytes + data.validation.images.nbytes
        need = None if peak is None else peak + CONTEXT + images
        side = max(data.image.height, data.image.width)
        return cls(side, need, threads, read_curves(COMMITTED.read_text("utf-8")))

    def on(self, model: str, memory: int | None, cores: int) -> Packed:
        """How many workers share a GPU.

        Args:
            model: as CUDA names it; empty: unknown.
            memory: its bytes; None: unknown.
            cores: of the host, for this GPU.

        >>> Packing(64, 4 * 2**30, 1, {}).on("NVIDIA H100", 80 * 2**30, 8).number
        4
        """
        held, by_memory = self._by_memory(memory)
        by_cores = max(1, cores // self.threads)
        why, by_curve = self._by_curve(model)
        number = min(by_curve, by_memory, by_cores, MOST_PER_GPU)
        name = model or "a GPU of unknown model"
        return Packed(number, f"{name}, {self.side} px: {why}; {held}, cores {by_cores}")

    def _by_memory(self, memory: int | None) -> tuple[str, int]:
        if memory is None:
            return "its memory is not known and allows 1", 1
        if self.need is None:
            return "what a training takes is not predicted, so memory allows 1", 1
        number = max(1, memory // self.need)
        return f"memory would allow {number}", number

    def _by_curve(self, model: str) -> tuple[str, int]:
        curves = self.curves.get(model, {})
        if larger := [side for side in curves if side >= self.side]:
            curve = curves[min(larger)]
            counts = ", ".join(map(str, sorted(curve.rates)))
            how = " under MPS" if curve.mps else ""
            return f"best of {counts} measured{how} at {min(larger)} px is {curve.best}", curve.best
        number = UNMEASURED if self.side < SMALL else 1
        what = "unmeasured at this size" if curves else "unmeasured model"
        return f"{what}, so {number} {'below' if self.side < SMALL else 'from'} {SMALL} px", number


def spread(rooms: Mapping[str, int], most: int | None) -> dict[str, int]:
    """How many workers each GPU gets where there are to be `most` of them at most, None for no limit: in turn, as far as there is
    room.

    >>> spread({"cuda:0": 4, "cuda:1": 1}, 4)
    {'cuda:0': 3, 'cuda:1': 1}
    """
    wanted = dict.fromkeys(rooms, 0)
    left = sum(rooms.values()) if most is None else most
    while left and (open_ones := [gpu for gpu in rooms if wanted[gpu] < rooms[gpu]]):
        for gpu in open_ones[:left]:
            wanted[gpu] += 1
        left -= min(left, len(open_ones))
    return wanted


class Sharing:
    """The GPUs of one machine, each with one worker at first; the others follow as it becomes known what GPUs these are."""

    def __init__(self, packing: Packing, cores: int, gpus: Sequence[str], most: int | None = None) -> None:
        """`cores`: of the machine. `most`: workers that there may be in all, None for no limit."""
        self._packing = packing
        self._cores = cores
        self._most = most
        self._granted = dict.fromkeys(gpus, 1)
        self._packed: dict[str, int] = {}
        self._told: set[str] = set()

    def saw(self, gpu: str, worker: Worker) -> tuple[Sequence[str], str]:
        """`worker` on `gpu` is ready. Returns the GPUs on which others are to start now, one each time, and what there is to tell."""
        if gpu in self._packed or gpu not in self._granted:
            return (), ""
        found = self._packing.on(worker.processor, worker.memory, self._cores // len(self._granted))
        self._packed[gpu] = found.number
        # a GPU that is not known yet is taken for one like this, so that a limit is shared with it
        wanted = spread({one: self._packed.get(one, found.number) for one in self._granted}, self._most)
        others: list[str] = []
        for one in self._packed:
            free = MOST_PER_GPU if self._most is None else self._most - sum(self._granted.values())
            more = max(0, min(wanted[one] - self._granted[one], free))
            self._granted[one] += more
            others += [one] * more
        line = "" if str(found) in self._told else str(found)
        self._told.add(str(found))
        return others, line
