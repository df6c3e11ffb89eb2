"""What `bench evaluate` found, as a document and as a screen of Markdown; what may not be believed stands there as void."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

from evosearch.bench.contenders import Contender
from evosearch.bench.limits import Ceilings
from evosearch.bench.parts import AGREED, Interval, Measured, Portion, agree, ratios
from evosearch.bench.promises import FULL, OURS, PACKED, SETUP, SHORT, UNFUSED, promises

RATIOS = (
    *((OURS, other) for other in ("N0", "N1", "N1m")),
    *((PACKED, other) for other in ("N1", "N1p")),
)
"""Of whom to whom."""


@dataclass(frozen=True)
class Machine:
    """What it was measured on. `instructions`: as of `instructions_of`."""

    processor: str
    instructions: str
    cores: int
    device: str


@dataclass(frozen=True, eq=False)
class Report:
    """All of it. `whole`: the images of a candidate; `checked`: epochs of the trainings that were made as a whole. `gates`: by
    name whether it is passed; `skipped`: what could not be measured, and why. `left_out`: networks that are too large.
    """

    machine: Machine
    size: int
    epochs: int
    images: str
    real: bool
    whole: Portion
    checked: int
    contenders: tuple[Contender, ...]
    measured: Mapping[str, Measured]
    ceilings: Ceilings
    gates: Mapping[str, bool]
    skipped: Mapping[str, str]
    left_out: int = 0

    def void(self) -> dict[str, str]:
        """Whose figures may not be believed, and why."""
        found = {}
        for one in self.contenders:
            failed = self._failed(one)
            agreements = self.measured[one.name].agreements(self.whole, self.checked)
            if failed:
                found[one.name] = f"the gate '{failed[0]}' failed"
            elif not agree(agreements):
                told = " and ".join(f"{cost:.3f}" for cost in agreements)
                cost = f"cost {told} times what is computed" if agreements else "were not made"
                found[one.name] = f"whole trainings {cost}; {1 - AGREED:g} to {1 + AGREED:g} may stand"
        return found

    def _failed(self, contender: Contender) -> list[str]:
        """Its gates that are not passed."""
        return [name for name in contender.gates if not self.gates.get(name, True)]

    def per_hour(self, name: str) -> list[float]:
        """Candidates, a figure for each round."""
        return self.measured[name].per_hour(self.whole, self.epochs)

    def ratios(self) -> dict[str, Interval]:
        """Those that may be believed."""
        standing = self.measured.keys() - self.void().keys()
        return {
            f"{one}/{other}": ratios(self.per_hour(one), self.per_hour(other))
            for one, other in RATIOS
            if {one, other} <= standing
        }

    def figures(self) -> dict[str, Interval]:
        """All for which something may be promised."""
        found, void = self.ratios(), self.void()
        if OURS in self.measured and OURS not in void:
            setup = self.measured[OURS].milliseconds(lambda parts: parts.setup)
            found[SETUP] = Interval.of(setup)
        if PACKED in self.measured and PACKED not in void:
            one = self.measured[PACKED]
            found[UNFUSED] = Interval.of(one.fraction(one.unfused))
        return found

    def targets(self) -> list[dict[str, Any]]:
        """What was promised, and what came of it."""
        figures, machine = self.figures(), self.machine
        promised = promises(machine.device, machine.instructions, self.size, self.epochs, files=self.real)
        return [{**asdict(one), "verdict": one.verdict(figures), "text": str(one)} for one in promised]

    def to_json(self) -> dict[str, Any]:
        """One document; `docs/benchmarks.md` has its form."""
        return {
            "evosearch": version("evosearch"),
            "torch": version("torch"),
            "machine": asdict(self.machine),
            "size": self.size,
            "epochs": self.epochs,
            "images": self.images,
            "ceilings": self.ceilings.to_json(),
            "gates": dict(self.gates),
            "skipped": dict(self.skipped),
            "void": self.void(),
            "systems": {one.name: self._system(one) for one in self.contenders},
            "ratios": {name: one.value for name, one in self.ratios().items()},
            "intervals": {name: [one.low, one.high] for name, one in self.ratios().items()},
            "targets": self.targets(),
            "shorter": [
                {
                    "epochs": one.epochs,
                    "ratios": {name: found.value for name, found in one.ratios().items()},
                    "targets": one.targets(),
                }
                for one in self._shorter()
            ],
        }

    def _shorter(self) -> list["Report"]:
        """The same for fewer epochs, where something is promised of them too: the parts are the same."""
        short = replace(self, epochs=SHORT)
        return [short] if self.epochs == FULL and short.targets() else []

    def _system(self, contender: Contender) -> dict[str, Any]:
        one = self.measured[contender.name]
        rate = Interval.of(self.per_hour(contender.name))
        parts = {
            "ms_per_step": one.milliseconds(lambda parts: parts.step),
            "setup_ms": one.milliseconds(lambda parts: parts.setup),
            "validation_ms": one.milliseconds(lambda parts: parts.validation),
            "limit_fraction": one.fraction(one.limits),
            "unfused_fraction": one.fraction(one.unfused),
        }
        return {
            "what": contender.what,
            "precision": contender.precision,
            "candidates_per_hour": rate.value,
            "spread": [rate.low, rate.high],
            **{name: Interval.of(rounds).value for name, rounds in parts.items()},
            "whole_to_computed": list(one.agreements(self.whole, self.checked)),
        }

    def to_markdown(self) -> str:
        """A screen of it."""
        ratios = self._ratios()
        for one in self._shorter():
            ratios += [row for row in one._ratios(f", {one.epochs} epochs")[2:] if not row.endswith("|  |")]
        return "\n".join([*self._heading(), "", *self._table(), "", *ratios, "", *self._rest()])

    def _heading(self) -> list[str]:
        machine = self.machine
        ceilings = self.ceilings.to_json()
        rates = f"fp32 {ceilings['fp32_gflops_per_second']:,} and bf16 {ceilings['bf16_gflops_per_second']:,} GFLOP/s"
        per = "GPU" if machine.device == "cuda" else "core"
        rounds = len(next(iter(self.measured.values())).rounds)
        return [
            f"evosearch {version('evosearch')}, torch {version('torch')}, {machine.processor} ({machine.instructions}), "
            f"{machine.cores} cores; {self.images}, {self.whole.train} of {self.size} pixels, {self.epochs} epochs; "
            f"candidates per {per} and hour, median of {rounds} rounds",
            "",
            f"A matrix product does {rates}, copying {ceilings['copy_gb_per_second']:,} GB/s."
            + (f" {self.left_out} networks are too large and left out." if self.left_out else ""),
        ]

    def _table(self) -> list[str]:
        lines = [
            "| system | candidates an hour | ms per step | set-up, ms | of the limit | whole trainings | what it is |",
            "|---|---|---|---|---|---|---|",
        ]
        void = self.void()
        for contender in self.contenders:
            found = self._system(contender)
            low, high = found["spread"]
            parts = (
                _digits(found["ms_per_step"]),
                f"{found['setup_ms']:,.0f}",
                f"{100 * found['limit_fraction']:.0f} %",
            )
            cells = (
                contender.name,
                "void"
                if contender.name in void
                else f"{_digits(found['candidates_per_hour'])} ({_digits(low)} to {_digits(high)})",
                *(["void"] * len(parts) if self._failed(contender) else parts),
                ", ".join(f"{one:.3f}" for one in found["whole_to_computed"]),
                contender.what,
            )
            lines.append(f"| {' | '.join(cells)} |")
        return lines

    def _ratios(self, suffix: str = "") -> list[str]:
        targets = {one["what"]: one for one in self.targets()}
        figures = self.figures()
        wanted = [f"{one}/{other}" for one, other in RATIOS if {one, other} <= self.measured.keys()]
        lines = ["| ratio | value | target |", "|---|---|---|"]
        for name in [*wanted, *(one for one in targets if one not in wanted)]:
            found, target = figures.get(name), targets.get(name)
            value = f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})" if found else "void"
            judged = f"{target['text']}: {target['verdict']}" if target else ""
            lines.append(f"| {name}{suffix} | {value} | {judged} |")
        return lines

    def _rest(self) -> list[str]:
        gates = [f"- gate {name}: {'passed' if passed else 'FAILED'}" for name, passed in self.gates.items()]
        skipped = [f"- skipped, {name}: {why}" for name, why in self.skipped.items()]
        return [*gates, *skipped, *(f"- void, {name}: {why}" for name, why in self.void().items())]


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
