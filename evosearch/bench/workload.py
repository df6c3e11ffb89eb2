"""How much `make gpu` measures, and where its figures go: `PLACE.json`, `PLACE.md`, and in `PLACE-packing.json` what several processes
on one GPU do together, in the form in which `workers/packing.json` has it.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from evosearch.bench.candidate import blueprint, drawn
from evosearch.bench.table import Measure, measures_markdown
from evosearch.errors import CannotRunError
from evosearch.genome import Chromosome, parse
from evosearch.training.batches import ResidentData

FROZEN = Path(__file__).with_name("frozen.json")
MOST_PARAMETERS = 200_000_000
"""Larger networks, whose first dense layer sees 224 x 224 pixels hardly pooled, are left out."""


@dataclass(frozen=True)
class Workload:
    """How much is measured. `small`, `large`: sides of images, pixels. `part`: images of an epoch's last batch.

    `gated`: networks whose captured training is compared with the eager one. `packed`, `processes`, `apart`: numbers of
    candidates on one GPU, as streams, as processes in the way that workers share it (under MPS, where that starts), and without MPS.
    `seconds`: a process is watched for.
    `matrix`: rows of the square matrices multiplied; `copied`: bytes.
    """

    device: str
    networks: tuple[Chromosome, ...]
    small: tuple[int, ...] = (32, 64)
    large: tuple[int, ...] = (224,)
    images: int = 425
    batch: int = 16
    part: int = 9
    repeats: int = 20
    gated: tuple[int, ...] = (1, 5)
    set_ups: int = 100
    epochs: int = 4
    packed: tuple[int, ...] = (1, 2, 4, 8, 16)
    processes: tuple[int, ...] = (1, 4, 8, 16)
    apart: tuple[int, ...] = (4, 8)
    seconds: float = 4.0
    matrix: int = 8192
    copied: int = 2**30

    def repeats_at(self, size: int) -> int:
        """Fewer of what takes long."""
        return self.repeats if size < 200 else max(1, self.repeats // 3)

    def data(self, size: int) -> ResidentData:
        """The images on the device."""
        return ResidentData(drawn(self.images, size), torch.device(self.device))

    def trainable(self, size: int) -> list[Chromosome]:
        """The networks that are not too large for images of this size."""
        return [one for one in self.networks if blueprint(one, size).parameters <= MOST_PARAMETERS]

    def middle(self, size: int) -> Chromosome:
        """Of these the one with the median FLOPs."""
        networks = sorted(self.trainable(size), key=lambda one: blueprint(one, size).flops)
        return networks[len(networks) // 2]


def whole() -> Workload:
    """On the GPU, with the frozen networks.

    Raises:
        CannotRunError: there is none.
    """
    if not torch.cuda.is_available():
        raise CannotRunError("torch sees no GPU here; `--dry` runs the same, tiny, on the CPU")
    return Workload("cuda", tuple(map(parse, frozen())))


def frozen() -> tuple[str, ...]:
    """The networks that every benchmark trains: first populations of the papers' space."""
    return tuple(one["network"] for one in json.loads(FROZEN.read_text()))


DRY = Workload(
    "cpu",
    (parse("B6 P C5 | F8"), parse("C4 | F6")),
    small=(8,),
    large=(),
    images=25,
    batch=8,
    part=1 + 8,
    repeats=1,
    gated=(0,),
    set_ups=6,
    epochs=1,
    packed=(2,),
    processes=(1, 2),
    apart=(),
    seconds=0.01,
    matrix=64,
    copied=2**16,
)
"""Everything once, in a few seconds: proves that it runs, measures nothing."""


class Report:
    """What was measured so far, at `place`.json and `place`.md; None: nowhere."""

    def __init__(self, device: str, place: Path | None) -> None:
        self.measures: list[Measure] = []
        self.failures: list[str] = []
        self.curves: dict[str, dict[str, Any]] = {}
        """Steps per second of so many processes on one GPU, by the side of the images, as `workers/packing.json` has them."""
        self._place = place
        self._here = {
            "device": torch.cuda.get_device_name() if device == "cuda" else "CPU, dry: figures mean nothing",
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "python": platform.python_version(),
        }

    def add(self, measure: Measure) -> None:
        """Keep it, and write everything anew."""
        self.measures.append(measure)
        self._write()

    def failed(self, where: str, error: Exception) -> None:
        """Something could not be measured, and the rest goes on."""
        said = (str(error).splitlines() or [""])[0]
        self.failures.append(f"{where}: {type(error).__name__}: {said[:200]}")
        self._write()

    def add_curve(self, size: int, rates: Mapping[int, float], *, mps: bool) -> None:
        """Keep what so many processes did together with images of this side; nothing without what one did alone."""
        if 1 in rates:
            counts = {str(count): round(rate, 2) for count, rate in sorted(rates.items())}
            self.curves[str(size)] = {"mps": mps, "steps_per_second": counts}
            self._write()

    def to_markdown(self) -> str:
        """The table, where it was made, and what failed."""
        here = ", ".join(f"{name} {value}" for name, value in self._here.items())
        return "\n".join([here, "", measures_markdown(self.measures), "", *self.failures])

    def _write(self) -> None:
        if self._place is None:
            return
        self._place.parent.mkdir(parents=True, exist_ok=True)
        document = {
            **self._here,
            "measures": [one.to_json() for one in self.measures],
            "failures": self.failures,
        }
        self._place.with_name(f"{self._place.name}.json").write_text(json.dumps(document, indent=1))
        self._place.with_name(f"{self._place.name}.md").write_text(self.to_markdown())
        if self.curves:
            curves = {self._here["device"]: self.curves}
            self._place.with_name(f"{self._place.name}-packing.json").write_text(json.dumps(curves, indent=1))
