"""`bench evaluate`: how many candidates an hour, beside ordinary loops and beside what the device could do at most.

One run, everybody in turn: in each round every contender trains every network of the list for a few short epochs, which tell the
parts that a candidate's cost is put together from. Whole trainings must agree with what is put together.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch

from evosearch.bench import equivalence, gates
from evosearch.bench.candidate import blueprint
from evosearch.bench.contenders import (
    Contender,
    Ordinary,
    Ours,
    Rung,
    environment,
    ordinary_job,
    rungs,
)
from evosearch.bench.evaluate_report import Machine, Report
from evosearch.bench.image_files import ImageFiles, prepare
from evosearch.bench.limits import (
    Ceilings,
    computes_bf16,
    instructions_of,
    measure_ceilings,
    processor,
)
from evosearch.bench.parts import Measured, Parts, Portion
from evosearch.bench.promises import OURS, PACKED
from evosearch.bench.standing import Standing
from evosearch.bench.workload import MOST_PARAMETERS, frozen
from evosearch.errors import InputError
from evosearch.evaluation import MOST_EPOCHS, TrainingSettings
from evosearch.genome import parse
from workers.benchmarks.contenders import missing_for_tune
from workers.slots import count_cores

PORTIONS = {
    32: Portion(6 * 16 + 9, 2 * 16 + 6),
    64: Portion(3 * 16 + 9, 16 + 6),
    224: Portion(16 + 9, 16 + 6),
}
"""Images of the short epochs, by their side: full batches and the partial ones with which COVID-CT's epochs end."""

LONG = (32,)
"""Sides of images at which the ordinary loops' epochs are whole ones. Where the tuned one's memory lies depends on how many images there
are, and short epochs made it look faster than it is; the plain one's begin with what must be spread over all of its steps.
"""

LOADERS = (0, 2, 4, 8, 16)
"""Processes that read files for the ordinary loop; the best of them counts."""

SHORT = {"cpu": 2, "cuda": 3}
"""Epochs of the short trainings, of which the last tells what every later one costs: on a GPU captured steps are replayed alone from
the third one on.
"""

WHOLE = 3
"""Epochs of the whole trainings."""

OFTEN = {32: 3}
"""How often they are made, in the last rounds, where that is not once: with short steps a single one was up to 7 % off by chance."""

MOST_TOGETHER = {32: 4, 64: 4, 224: 1}
"""Candidates that share a GPU, by the side of the images."""

AND = "' and '"

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How much is measured. `epochs`: of a candidate, for which the parts are put together; nothing trains for so many.
    `cores`: None: those of this machine. `matrix`, `copied`: as in `measure_ceilings`.
    """

    size: int = 32
    epochs: int = 100
    device: Literal["auto", "cpu", "cuda"] = "auto"
    rounds: int = 3
    networks: tuple[str, ...] = field(default_factory=frozen)
    portion: Portion | None = None
    cores: int | None = None
    matrix: int | None = None
    copied: int | None = None

    def __post_init__(self) -> None:
        if self.size not in PORTIONS:
            raise InputError(f"--size {self.size}: images have a side of 32, 64 or 224 pixels; choose one")
        if not 1 <= self.epochs <= MOST_EPOCHS:
            raise InputError(f"--epochs {self.epochs}: it must be from 1 to {MOST_EPOCHS:,}")

    @property
    def chosen(self) -> str:
        """Which device: cpu or cuda.

        Raises:
            InputError: there is no such device.
        """
        found = torch.cuda.is_available()
        if self.device == "cuda" and not found:
            raise InputError("--device cuda: torch sees no GPU here; write --device cpu")
        return self.device if self.device != "auto" else "cuda" if found else "cpu"

    @property
    def trainable(self) -> tuple[str, ...]:
        """The networks that are not too large for such images, the cheapest first."""
        plans = {one: blueprint(parse(one), self.size) for one in self.networks}
        fitting = [one for one in self.networks if plans[one].parameters <= MOST_PARAMETERS]
        return tuple(sorted(fitting, key=lambda one: plans[one].flops))


def default_precision(device: str) -> Literal["fp32", "bf16"]:
    """What the project's default, `auto`, is on `device`."""
    return "bf16" if computes_bf16(device) else "fp32"


def measure_evaluate(effort: Effort, root: Path | None, kept: Sequence[Path], tell: Tell) -> Report:
    """Measure all contenders.

    Args:
        effort: how much.
        root: COVID-CT's folder; None: images are drawn.
        kept: where outcomes of `measure_equivalence` may be, the first that is whole counts.
        tell: is told how far it is.

    Raises:
        InputError: there is no such device, or the images cannot be read.
        CannotRunError: a training failed.
    """
    device = effort.chosen
    torch.set_num_threads(1)  # of the ceilings, too
    with TemporaryDirectory(prefix="evosearch-evaluate-") as temporary, ExitStack() as stack:
        tell("images" if root else _drawn(device))
        for trouble in filter(None, map(equivalence.unreadable, kept)):
            tell(trouble)
        portion = effort.portion or PORTIONS[effort.size]
        files = prepare(effort.size, root, Path(temporary), portion)
        contenders: list[Contender] = [
            *_ordinary(effort, files, portion, device, tell),
            *_ours(effort, files, device, stack, tell),
        ]
        measured, ceilings = _measured(effort, contenders, files, portion, device, tell)
        found = {
            gates.CAPTURED: _captured(contenders, files, effort, device, tell),
            gates.ALONE: _alone(contenders, effort.trainable[0], tell),
            gates.ONCE: gates.each_image_once(files.data),
            gates.BF16: _kept_equivalence(kept, files, effort, device),
        }
    return Report(
        Machine(processor(device), instructions_of(device), _cores(effort), device),
        effort.size,
        effort.epochs,
        files.what,
        files.real,
        files.whole,
        WHOLE,
        tuple(contenders),
        measured,
        ceilings,
        {name: bool(gate) for name, gate in found.items() if not isinstance(gate, str)},
        {name: str(gate) for name, gate in found.items() if isinstance(gate, str)}
        | {"T1": missing_for_tune() or "Ray Tune with our trainable is not measured by this version"},
        len(effort.networks) - len(effort.trainable),
    )


def _drawn(device: str) -> str:
    judged = " and no target is judged" if device == "cpu" else ""
    return f"images are drawn{judged}: EVOSEARCH_DATA names no folder that holds covid-ct"


def measure_gates(effort: Effort, root: Path | None, file: Path, tell: Tell) -> equivalence.Equivalence:
    """The gate of bf16, which takes long; `file` has what was measured before, and gets the rest.

    Raises:
        InputError: there is no such device, or no real images.
        CannotRunError: a training failed.
    """
    if root is None:
        raise InputError(
            "--gates compares accuracies on COVID-CT, which is not at hand; EVOSEARCH_DATA names the folder that holds covid-ct"
        )
    device = effort.chosen
    if trouble := equivalence.unreadable(file):
        tell(trouble)
    with TemporaryDirectory(prefix="evosearch-evaluate-") as temporary, ExitStack() as stack:
        files = prepare(effort.size, root, Path(temporary), PORTIONS[effort.size])
        workers = []
        for _ in range(_cores(effort) if device == "cpu" else 1):
            workers.append(Standing(device, files.data, environment(kept=True)))
            stack.callback(workers[-1].close)
        fingerprint = equivalence.Fingerprint.here(device, files.key)
        return equivalence.measure_equivalence(
            workers, file, fingerprint, effort.size, effort.trainable, tell
        )


def _cores(effort: Effort) -> int:
    return effort.cores or count_cores()


def _packed(effort: Effort, device: str) -> int:
    """How many candidates run at once: on a CPU one per core."""
    return _cores(effort) if device == "cpu" else MOST_TOGETHER[effort.size]


def _kept_equivalence(kept: Sequence[Path], files: ImageFiles, effort: Effort, device: str) -> gates.Gate:
    found = equivalence.kept(
        kept, equivalence.Fingerprint.here(device, files.key), effort.size, effort.trainable
    )
    return found if isinstance(found, str) else found.passed


def _ordinary(
    effort: Effort, files: ImageFiles, portion: Portion, device: str, tell: Tell
) -> Iterator[Ordinary]:
    bf16 = computes_bf16(device)
    precision = "bf16" if bf16 else "fp32"
    plain, kept = environment(kept=False), environment(kept=True)
    portions = portion, files.whole
    job = ordinary_job(files, effort.size, device, tuned=False, bf16=False)
    options = [one for one in LOADERS if one <= _cores(effort)]
    middle = effort.trainable[len(effort.trainable) // 2]

    def one_epoch(loaders: int) -> float:
        tell(f"an ordinary loop with {loaders} loading processes")
        contender = Ordinary("N0", "", "fp32", replace(job, loaders=loaders), portions, plain)
        return contender.run([middle], 1, whole=True)[0][-1]

    best = min(options, key=one_epoch) if len(options) > 1 else options[0]
    what = f"ordinary loop: files, {best} loading processes, fp32, a process per candidate"
    if effort.size in LONG:
        portions = files.whole, files.whole
    # loaders start with an epoch and end with it, which is no matter of its steps, so that only whole ones tell
    yield Ordinary("N0", what, "fp32", replace(job, loaders=best), (portions[best > 0], files.whole), plain)
    job = ordinary_job(files, effort.size, device, tuned=True, bf16=bf16)
    what = f"the same tuned: decoded once, {precision}, channels last, fused Adam"
    yield Ordinary("N1", what, precision, job, portions, plain)
    yield Ordinary("N1m", "N1 with our allocator's environment", precision, job, portions, kept)
    together = _packed(effort, device)
    if together > 1:
        yield Ordinary("N1p", f"N1, {together} at once", precision, job, portions, plain, together)


def _ours(effort: Effort, files: ImageFiles, device: str, stack: ExitStack, tell: Tell) -> Iterator[Ours]:
    """The ladder, from what the first version did to the default, then the default packed."""
    tell("workers")
    top = Rung(default_precision(device), kept=True, captured=device == "cuda")

    def standing(rung: Rung) -> Standing:
        worker = Standing(device, files.data, environment(kept=rung.kept), captured=rung.captured)
        stack.callback(worker.close)
        return worker

    def ours(name: str, what: str, rung: Rung, workers: tuple[Standing, ...], *more: str) -> Ours:
        settings = asdict(replace(TrainingSettings(), precision=rung.precision))
        return Ours(name, what, rung.precision, settings, workers, (*rung.gates, *more), rung.captured)

    for rung in rungs(device):
        if rung != top:
            yield ours(f"{OURS}: {rung.name(device)}", rung.what(device), rung, (standing(rung),))
    first = standing(top)
    yield ours(OURS, f"the default: {top.what(device)}", top, (first,))
    together = _packed(effort, device)
    if together > 1:
        workers = first, *(standing(top) for _ in range(together - 1))
        yield ours(PACKED, f"the same, {together} at once", top, workers, gates.ALONE)


def _measured(
    effort: Effort,
    contenders: Sequence[Contender],
    files: ImageFiles,
    portion: Portion,
    device: str,
    tell: Tell,
) -> tuple[dict[str, Measured], Ceilings]:
    networks = effort.trainable
    alone, packed = ([one for one in contenders if (one.together > 1) is many] for many in (False, True))
    found = {one.name: Measured(together=one.together if device == "cuda" else 1) for one in contenders}
    best: Ceilings | None = None
    for number in range(effort.rounds):
        tell(f"round {number + 1} of {effort.rounds}: what the device can do")
        ceilings = measure_ceilings(device, effort.matrix, effort.copied)
        best = best.better(ceilings) if best else ceilings
        for one in contenders:
            found[one.name].rounds.append({})
        for place, (group, chosen) in enumerate(_turns(networks, alone, packed)):
            tell(f"round {number + 1} of {effort.rounds}: '{AND.join(group)}'")
            for contender in _rotated(chosen, number + place):
                marks = contender.run(group, SHORT[device], whole=False, luck=number)
                used = getattr(contender, "portions", (portion,))[0]
                for network, each in zip(group, marks, strict=True):
                    found[contender.name].rounds[-1][network] = Parts.of(each, used, files.whole)
        if effort.rounds - number <= OFTEN.get(effort.size, 1):
            for group, chosen in _wholes(next_to_the_median(networks), alone, packed):
                for contender in _rotated(chosen, number):
                    tell(f"'{AND.join(group)}' trained as a whole: {contender.name}")
                    ended = contender.run(group, WHOLE, whole=True, luck=number)
                    found[contender.name].note_whole({n: m[-1] for n, m in zip(group, ended, strict=True)})
    if best is None:
        raise ValueError("no round was asked for")
    plans = {network: blueprint(parse(network), effort.size) for network in networks}
    for contender in contenders:
        limits = [
            {
                network: best.limit(plan, portion.batch, contender.precision, fused=fused)
                for network, plan in plans.items()
            }
            for fused in (True, False)
        ]
        found[contender.name].limits, found[contender.name].unfused = limits
    return found, best


def next_to_the_median(networks: Sequence[str]) -> list[str]:
    """Two of them, where there are two: those on both sides of the list's median.

    >>> next_to_the_median("abcdef"), next_to_the_median("abcde"), next_to_the_median("a")
    (['c', 'd'], ['b', 'd'], ['a'])
    """
    odd, half = len(networks) % 2, len(networks) // 2
    return [networks[place] for place in (half - 1, half + odd) if 0 <= place < len(networks)] or [*networks]


def _turns(
    networks: Sequence[str], alone: Sequence[Contender], packed: Sequence[Contender]
) -> Iterator[tuple[Sequence[str], Sequence[Contender]]]:
    """Who trains what, one after another: each network by itself, then those of like cost at once."""
    for network in networks:
        yield [network], alone
    if packed:
        together = packed[0].together
        for place in range(0, len(networks), together):
            yield networks[place : place + together], packed


def _wholes(
    networks: Sequence[str], alone: Sequence[Contender], packed: Sequence[Contender]
) -> Iterator[tuple[Sequence[str], Sequence[Contender]]]:
    """Likewise who trains these as a whole; those who train several at once have all of them, again where they are too few."""
    for network in networks:
        yield [network], alone
    if packed:
        yield list(islice(cycle(networks), packed[0].together)), packed


def _rotated(contenders: Sequence[Contender], by: int) -> list[Contender]:
    """None goes first each time."""
    place = by % len(contenders)
    return [*contenders[place:], *contenders[:place]]


def _captured(
    contenders: Sequence[Contender], files: ImageFiles, effort: Effort, device: str, tell: Tell
) -> gates.Gate:
    ours = [one for one in contenders if isinstance(one, Ours) and one.captured]
    workers = [worker for one in ours for worker in one.workers]
    precisions = sorted({one.precision for one in rungs(device) if one.captured})
    return gates.captured_as_eager(device, workers, files.data, effort.trainable, precisions, tell)


def _alone(contenders: Sequence[Contender], network: str, tell: Tell) -> gates.Gate:
    tell("packed candidates beside one alone")
    for one in contenders:
        if isinstance(one, Ours) and one.name == PACKED:
            return gates.packed_as_alone(one.workers, network, one.settings)
    return gates.packed_as_alone((), network, {})


def homes_file(home: Path) -> Path:
    """Where a home keeps outcomes of `measure_gates`."""
    return home / "bench" / "equivalence.jsonl"
