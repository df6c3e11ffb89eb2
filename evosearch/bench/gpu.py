"""`make gpu`: what one GPU does with the paper's networks, in under ten minutes; `--dry`: the same, tiny, on the CPU.

It needs torch, numpy, Pillow and safetensors, no network and no installation. In a copy of the repository

    python3 -m evosearch.bench.gpu --output gpu

measures and writes `gpu.json`, `gpu.md` and `gpu-packing.json`, anew after each measure, so that a run that is cut off keeps what it had.
The tests that need no more than that, and pytest, are

    python3 -m pytest -m gpu --confcutdir=tests/training tests/training tests/bench/test_gpu.py

The networks are the frozen ones of `frozen.json`; images are noise, as many as COVID-CT's training images.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from evosearch.bench.gpu_figures import (
    apart,
    ceilings,
    evaluations,
    gate,
    packed,
    packing,
    release,
    setup,
    steps,
)
from evosearch.bench.table import Measure
from evosearch.bench.workload import DRY, Report, Workload, whole
from evosearch.errors import EvosearchError

Section = tuple[str, float, Callable[[Workload, Report], None]]


def sections(work: Workload) -> list[Section]:
    """All that is measured, in order: name, seconds it may take, and what does it."""
    found: list[Section] = [
        ("ceilings", 0.0, ceilings),
        ("captured against eager", 0.0, gate),
        ("steps, small images", 60.0, partial(steps, work.small)),
        ("set-up", 60.0, setup),
        ("evaluations", 60.0, evaluations),
        ("streams, small images", 40.0, partial(packed, work.small)),
        ("steps, large images", 60.0, partial(steps, work.large)),
        ("streams, large images", 20.0, partial(packed, work.large)),
        *((f"packing, {size} px", 100.0, partial(packing, size)) for size in reversed(work.small)),
    ]
    if work.apart:
        found.append(("processes without MPS", 60.0, partial(apart, work.small[-1])))
    return found


def measure(work: Workload, report: Report, seconds: float, tell: Callable[[str], None]) -> None:
    """Every section for which there is time left of `seconds`; what fails or is left out is said in the report."""
    begun = time.monotonic()
    for name, needed, section in sections(work):
        left = seconds - (time.monotonic() - begun)
        if left < needed:
            note = f"{left:.0f} s were left, it may take {needed:.0f}"
            report.add(Measure(name, "", (), "", note=note))
            continue
        tell(f"{name}, {left:.0f} s left")
        try:
            section(work, report)
        except Exception as error:  # the other sections are worth having
            report.failed(name, error)
        release(work)


TO_COMMIT = (
    "how many workers share such a GPU best is in {}-packing.json; `workers.per_gpu: auto` goes by it "
    "once its entries are added to workers/packing.json and committed\n"
)


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main() -> int:
    """The command: 0 where everything was measured, 1 where something failed, 3 without a GPU."""
    parser = argparse.ArgumentParser(prog="python -m evosearch.bench.gpu", description=__doc__)
    parser.add_argument("--dry", action="store_true", help="tiny, on the CPU: proves that it runs")
    parser.add_argument("--output", metavar="PLACE", type=Path, help="writes PLACE.json and PLACE.md")
    parser.add_argument("--minutes", type=float, default=9.0, help="begins nothing that may take longer; 9")
    chosen = parser.parse_args()
    try:
        work = DRY if chosen.dry else whole()
    except EvosearchError as error:
        sys.stderr.write(f"gpu: {error}\n")
        return error.exit_status
    report = Report(work.device, chosen.output)
    measure(work, report, chosen.minutes * 60, _tell)
    dry = [f"gpu, dry: {len(report.measures)} measures", *report.failures]
    sys.stdout.write("\n".join(dry if chosen.dry else [report.to_markdown()]) + "\n")
    if chosen.output:
        sys.stdout.write(f"written to {chosen.output}.json and {chosen.output}.md\n")
        if report.curves:
            sys.stdout.write(TO_COMMIT.format(chosen.output))
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
