"""What was promised of the evaluation of candidates, by device, size of the images and epochs."""

from collections.abc import Mapping
from dataclasses import dataclass

from evosearch.bench.parts import Interval

FULL, SHORT = 100, 8
"""Epochs of a candidate for which something is promised."""

OURS, PACKED = "ours", "ours p"
SETUP = f"setup_ms of {OURS}"
UNFUSED = f"unfused_fraction of {PACKED}"


@dataclass(frozen=True)
class Promise:
    """`what`: a ratio, "ours/N0", or another figure. `reached`: it holds where the spread reaches the limit."""

    what: str
    at_least: float | None = None
    at_most: float | None = None
    reached: bool = False

    def verdict(self, figures: Mapping[str, Interval]) -> str:
        """held, MISSED or void: the figure is, or there is none."""
        found = figures.get(self.what)
        if found is None:
            return "void"
        if self.at_least is not None:
            held = (found.high if self.reached else found.value) >= self.at_least
        else:
            held = self.at_most is None or found.value <= self.at_most
        return "held" if held else "MISSED"

    def __str__(self) -> str:
        if self.reached:
            return f"not below {self.at_least:.1f}"
        return f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"


def promises(device: str, instructions: str, size: int, epochs: int, *, files: bool) -> tuple[Promise, ...]:
    """Those that apply; none where nothing was promised.

    Args:
        device: cpu or cuda.
        instructions: of a CPU, as `instructions_of` names them.
        size: side of the images.
        epochs: of a candidate.
        files: whether they are COVID-CT's.
    """
    if device == "cuda":
        return _on_gpu(size) if epochs == FULL else ()
    if not files or instructions == "amx_bf16":
        return ()
    if instructions == "avx512_bf16":
        return _WITH_BF16.get((size, epochs), ())
    return _WITHOUT_BF16.get((size, epochs), ())


_WITH_BF16 = {
    (32, FULL): (Promise("ours/N0", 3.2), Promise("ours/N1", 1.0, reached=True)),
    (32, SHORT): (Promise("ours/N0", 3.5), Promise("ours/N1", 1.3)),
    (64, FULL): (Promise("ours/N0", 3.0), Promise("ours/N1", 1.2)),
}
_WITHOUT_BF16 = {(32, FULL): (Promise("ours/N0", 2.0),), (64, FULL): (Promise("ours/N0", 1.7),)}


def _on_gpu(size: int) -> tuple[Promise, ...]:
    """Predictions until the first run on one."""
    match size:
        case 32:
            alone, packed, both, roofline = 8.0, 12.0, 2.0, 0.3
        case 64:
            alone, packed, both, roofline = 4.0, 6.0, 1.3, 0.5
        case _:
            return (Promise("ours/N1", 1.2),)
    setup = (Promise(SETUP, at_most=150.0),) if size == 64 else ()
    return (
        Promise("ours/N1", alone),
        Promise(f"{PACKED}/N1", packed),
        Promise(f"{PACKED}/N1p", both),
        Promise(UNFUSED, roofline),
        *setup,
    )
