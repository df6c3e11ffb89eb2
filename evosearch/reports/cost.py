"""What a search would cost, from its first population, and when it will end, from what its trainings have taken."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

from evosearch.blueprint import NetworkSize, training_memory
from evosearch.evaluation import Precision, TrainingSettings
from evosearch.reports.words import counted, duration, scaled
from evosearch.runtime import ENOUGH, Timings, Work
from evosearch.storage import EvaluationRow, SearchRow
from evosearch.studies import ArmBudget


@dataclass(frozen=True)
class Ahead:
    """What a search has still to train."""

    waiting: Sequence[Work] = ()
    """What the trainings that wait have to do."""
    running: Sequence[tuple[Work, float]] = ()
    """The same of those under way, with the seconds that each has taken."""
    unborn: float = 0.0
    """How many are not bred yet, or of unknown size; they are taken to be as `typical` ones."""
    typical: Sequence[Work] = ()
    """What its newest trainings had to do; empty: what is ahead is taken to be typical."""


@dataclass(frozen=True)
class Estimate:
    """A span of time."""

    seconds: float
    """How long."""
    sure: bool
    """Enough trainings have ended for the cost model to be believed."""

    def __str__(self) -> str:
        """For a person: `3 min 20 s left`, `about 2 h 05 min left`."""
        return f"{'' if self.sure else 'about '}{duration(self.seconds)} left"


def time_left(ahead: Ahead, timings: Timings, speed: float) -> Estimate | None:
    """Estimated seconds until all that is `ahead` has been trained.

    The longest are trained first and the first wait for workers to start, so neither the mean of what has ended nor the
    time it took is one of what is to come: each training is predicted from its network.

    Args:
        ahead: what there is to train.
        timings: what trainings took.
        speed: seconds of training that pass in a second, by all workers together: as many as there are, less what
            they wait for each other.

    Returns: 0 where nothing is ahead; None while nothing is known.
    """
    predict = timings.estimator()
    if not (ahead.waiting or ahead.running or ahead.unborn):
        return Estimate(0.0, sure=True)
    if predict is None or speed <= 0:
        return None
    each = [predict(work) for work in ahead.typical] or [predict(work) for work in ahead.waiting]
    each = each or [predict(work) for work, _ in ahead.running]
    if ahead.unborn and not each:
        return None
    under_way = [max(0.0, predict(work) - taken) for work, taken in ahead.running]
    seconds = sum(map(predict, ahead.waiting)) + sum(under_way)
    seconds += ahead.unborn * fmean(each) if ahead.unborn else 0.0
    # the longest of those under way ends no sooner for all the workers there are
    return Estimate(max([seconds / speed, *under_way, 1.0]), timings.count >= ENOUGH)


def search_left(row: SearchRow, total: int, rows: Sequence[EvaluationRow]) -> Estimate | None:
    """The same of a search of `total` evaluations, from its journal: `rows` are the evaluations that are born."""
    rungs = _rungs(row)
    timings = Timings()
    known = {_place(one): _work(one, rungs) for one in rows if one.flops is not None}
    for one in rows:
        if one.status == "done" and not one.cached and _place(one) in known:
            timings = timings.with_one(known[_place(one)], one.seconds)
    left = [one for one in rows if one.status in {"waiting", "running"}]
    works = [known[_place(one)] for one in left if _place(one) in known]
    trained = [one for one in rows if not one.cached]
    new = len(trained) / len(rows) if rows else 1.0  # the others are equal to earlier ones
    unborn = max(0, total - len(rows)) * new + len(left) - len(works)
    newest = [
        known[_place(one)] for one in rows if one.generation >= row.generation - 1 and _place(one) in known
    ]
    running = row.counts.get("running", 0)
    speed = sum(one.seconds for one in trained) / row.seconds if row.seconds else 0.0
    if timings.count < ENOUGH and running:  # much of the time so far went into starting
        speed = float(running)
    return time_left(Ahead(works, unborn=unborn, typical=newest), timings, speed)


def has_rungs(row: SearchRow) -> bool:
    """Whether its trainings wait for each other at certain epochs."""
    return bool(_rungs(row))


def saved_by_halving(row: SearchRow, rows: Sequence[EvaluationRow]) -> float | None:
    """Share of its workers' seconds that a search with rungs has saved so far, `rows` being its evaluations: against whole trainings
    of the networks that were trained to a rung. None without rungs, and before one was reached.

    A whole training is taken to last as long for each epoch as the first rung, which nobody goes on from.
    """
    rungs, ended = _rungs(row), [one for one in rows if one.status == "done" and not one.cached]
    begun = [one for one in ended if rungs and one.until == rungs[0] and one.seconds > 0]
    numbers = {one.number for one in begun}
    whole = sum(one.seconds * rungs[-1] / rungs[0] for one in begun)
    return 1 - sum(one.seconds for one in ended if one.number in numbers) / whole if whole else None


def _work(row: EvaluationRow, rungs: Sequence[int]) -> Work:
    """As `work_of`, of what a journal's readers know; of a rung only its own epochs."""
    part = 1.0
    if rungs:
        ends = row.until or rungs[-1]
        part = (ends - max((rung for rung in rungs if rung < ends), default=0)) / rungs[-1]
    return part, 0.0, part * (row.flops or 0) / 1e9, 0.0, part * (row.parameters or 0) / 1e6


def _place(row: EvaluationRow) -> tuple[int, int]:
    return row.number, row.until


def _rungs(row: SearchRow) -> Sequence[int]:
    """The epochs at which trainings wait for each other; none where they go to their end."""
    strategy = row.configuration.get("strategy")
    halving = strategy.get("halving") if isinstance(strategy, Mapping) else None
    return halving["epochs"] if isinstance(halving, Mapping) else ()


BACKWARD = 2
"""The backward pass costs about twice the forward one: gradients for weights and for inputs."""


@dataclass(frozen=True)
class Spread:
    """A figure over the first population, in the figure's own unit."""

    least: float
    """Of all."""
    median: float
    """Of all."""
    greatest: float
    """Of all."""

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of `values`, at least one."""
        return cls(min(values), median(values), max(values))

    @classmethod
    def known(cls, values: Sequence[float]) -> "Spread | None":
        """The spread of `values`; None where there are none."""
        return cls.of(values) if values else None


@dataclass(frozen=True)
class Measured:
    """What a search would take on this machine, from a few steps of some of its first networks."""

    networks: int
    """How many were measured."""
    workers: int
    """How many trained side by side, as they would in the search."""
    seconds: Spread
    """Of the whole search: as if all networks were like the lower quarter of the first population, as they are, and as
    if they were like the upper quarter."""
    host_memory: int
    """Bytes of a worker process."""
    host_available: int | None
    """Bytes that this machine can still give; None where it does not say."""
    device_memory: int | None
    """Bytes that the largest of the first networks needs of a GPU; None on CPUs."""
    device_available: int | None
    """Bytes of a worker's share of its GPU."""
    per_gpu: str = ""
    """How many workers would share a GPU of this machine, and why, or that there is none, as a search says it when it begins; empty
    where `workers.per_gpu` is not auto."""


def measured(
    works: Sequence[Work],
    timed: Mapping[int, float],
    trainings: float,
    workers: int,
    per_gpu: str = "",
    **memory: int | None,
) -> Measured:
    """What `trainings` take on so many workers. `works`: of the first population; `timed`: seconds of a whole training, of
    some of them by their place, at least one; the others: as in `Measured`.
    """
    timings = Timings()
    for place, seconds in timed.items():
        timings = timings.with_one(works[place], seconds)
    predict = timings.estimator() or (lambda _: fmean(timed.values()))
    each = sorted(map(predict, works))
    lower, upper = each[len(each) // 4], each[-1 - len(each) // 4]
    mean = fmean(each)
    spread = [value * trainings / workers for value in (min(lower, mean), mean, max(upper, mean))]
    memories: dict[str, Any] = memory
    return Measured(len(timed), workers, Spread(*spread), per_gpu=per_gpu, **memories)


@dataclass(frozen=True)
class StudyCost:
    """What the study of a file has to train."""

    arms: tuple[ArmBudget, ...]
    """Its arms, as far as they are known; empty: they follow from the best of a search that is named."""
    final_seeds: int
    """Final trainings of each member."""
    final_epochs: int
    """Of each of those."""
    unchecked: tuple[str, ...] = ()
    """Searches that it names and that were not looked up."""
    listed: bool = False
    """Whether it evolves nothing, so that what was estimated is one training of each network that it names."""

    @property
    def above(self) -> str:
        """What the estimate is of, in words."""
        return (
            "one training of each network that it names"
            if self.listed
            else "one search by the file's strategy"
        )


@dataclass(frozen=True)
class Cost:
    """A search's cost, estimated. What is over the first population may grow beyond it in later ones."""

    trainings: int
    """How many, at most: equal chromosomes are trained once."""
    epochs: int
    """Of each training."""
    steps: int
    """Optimizer steps of each training."""
    parameters: Spread | None
    """Trainable numbers of a network, over the first population; None here and below where no network's size is known before it is built."""
    training_flops: Spread | None
    """Of one training, forward and backward, over the first population."""
    memory: Spread | None
    """Bytes of one training step, over the first population."""
    total_flops: float
    """Trainings times the mean of one; with halving, times as many whole ones as all rungs take."""
    halved: float | None = None
    """With halving, that many; None where there is none."""
    rungs: tuple[tuple[int, int], ...] = ()
    """With halving, of each rung its epochs and how many networks are trained to it at most: those of the first are all."""
    contenders: int = 0
    """Networks that `retrain` trains afresh before its own trainings, each as long as in the search; 0: none."""
    contenders_asked: int = 0
    """How many the file asks for: the search may have fewer."""
    contender_trainings: int = 0
    """Of each of them."""
    measured: Measured | None = None
    """What it would take here, where that was measured."""
    unmeasured: str = ""
    """Why it was not measured, where it should have been."""
    notes: tuple[str, ...] = ()
    """What is worth a word about the data, as a search says it when it begins."""
    study: StudyCost | None = None
    """Of a study's file, all that it trains; the other figures are of `StudyCost.above`."""
    precision: str = "fp32"
    """Of each training, as the file says it."""
    auto_here: Precision | None = None
    """What auto would mean as `training.precision`, where this machine's workers came first; None: none was started, or none said."""

    def to_json(self) -> dict[str, Any]:
        """JSON form, keys as the fields."""
        return asdict(self)


def estimate_cost(
    sizes: Sequence[NetworkSize],
    trainings: int,
    images: int,
    training: TrainingSettings,
    halved: float | None = None,
    rungs: tuple[tuple[int, int], ...] = (),
) -> Cost:
    """Cost of `trainings` networks of `sizes` (the first population) on `images` training images; `halved`, `rungs`: as in `Cost`."""
    epochs, batch_size = training.epochs, training.batch_size
    flops = [float(b.flops) * (1 + BACKWARD) * images * epochs for b in sizes]
    # A single left-over image joins the batch before it, so it makes no step of its own.
    steps = max(1, -(-images // batch_size) - (images % batch_size == 1))
    return Cost(
        trainings=trainings,
        epochs=epochs,
        steps=steps * epochs,
        parameters=Spread.known([b.parameters for b in sizes]),
        training_flops=Spread.known(flops),
        memory=Spread.known([training_memory(b, batch_size, training.optimizer).total for b in sizes]),
        total_flops=(trainings if halved is None else halved) * sum(flops) / len(flops) if flops else 0.0,
        halved=halved,
        rungs=rungs,
        precision=training.precision,
    )


def cost_lines(cost: Cost) -> list[str]:
    """The estimate for a person."""
    return [
        *_how_many(cost),
        *_size_lines(cost),
        *([f"  precision         {words}"] if (words := _precision_words(cost)) else []),
        *(_measured_lines(cost.measured) if cost.measured else []),
        *(_contender_lines(cost) if cost.contenders else []),
        *([f"  not measured      {cost.unmeasured}"] if cost.unmeasured else []),
        *(_study_lines(cost, cost.study) if cost.study else []),
    ]


def _how_many(cost: Cost) -> list[str]:
    """What is trained, and for how long."""
    length = f"{counted(cost.epochs, 'epoch')}, {counted(cost.steps, 'step')} each"
    if not cost.rungs or cost.halved is None:
        return [f"{counted(cost.trainings, 'training')} of {length}"]
    (first, networks), *further = cost.rungs
    steps = [f"all to epoch {first}", *(f"{count:,} on to epoch {epochs}" for epochs, count in further)]
    return [
        f"{counted(networks, 'network')}; a whole training has {length.removesuffix(' each')}",
        f"  rungs             {', '.join(steps)}",
        f"                    together {cost.halved:.1f} whole trainings",
    ]


def _contender_lines(cost: Cost) -> list[str]:
    """What comes before the final trainings."""
    trainings = cost.contenders * cost.contender_trainings
    few = f" (of {cost.contenders_asked} asked for)" if cost.contenders < cost.contenders_asked else ""
    each = f"{counted(cost.contender_trainings, 'fresh training')} of {counted(cost.epochs, 'epoch')}"
    seconds = 0.0 if cost.measured is None else cost.measured.seconds.median * trainings
    whole = cost.trainings if cost.halved is None else cost.halved
    about = f", about {duration(seconds / whole)}" if seconds and whole else ""
    return [
        f"  contenders        on top, when the best is trained again: {counted(cost.contenders, 'network')}{few},",
        f"                    {each} each: {counted(trainings, 'training')}{about}",
    ]


def _precision_words(cost: Cost) -> str:
    """What to know of a precision that not every worker computes; empty of one that each does."""
    if cost.precision == "tf32":
        return "tf32, which GPUs have from compute capability 8.0 on, and CPUs have not"
    if cost.precision != "auto":
        return ""
    decides = "auto, which the first worker that joins decides"
    if cost.auto_here is not None:
        return f"{decides}; on this machine it means {cost.auto_here}"
    return (
        f"{decides}: bf16 on GPUs from compute capability 8.0 on and CPUs with avx512_bf16 or AMX, else fp32"
    )


def _size_lines(cost: Cost) -> list[str]:
    if cost.parameters is None or cost.memory is None or cost.training_flops is None:
        return ["  what each takes is not known before it begins"]
    return [
        f"  parameters        {_three(cost.parameters, '')}",
        f"  memory per step   {_three(cost.memory, 'B')}",
        f"  one training      {_three(cost.training_flops, 'FLOP')}",
        f"  the whole search  {scaled(cost.total_flops, 'FLOP')}",
        "  (least / median / greatest over the first population;",
        "  children may grow beyond it)",
    ]


def _study_lines(cost: Cost, study: StudyCost) -> list[str]:
    """What the whole study trains, and what of it is counted in hours."""
    if not study.arms:
        return [
            f"the study: not counted, since its arms follow from the best of the search that it names; above is {study.above}"
        ]
    counts = [arm.members * (arm.trainings or 0) for arm in study.arms]
    finals = sum(arm.members for arm in study.arms) * study.final_seeds
    lines = [
        f"the whole study: {counted(sum(counts), 'training')} of {counted(cost.epochs, 'epoch')}, then "
        f"{counted(finals, 'final training')} of {counted(study.final_epochs, 'epoch')}; above is {study.above}",
        *(f"  {arm.name}: {_arm_words(arm, cost, study)}" for arm in study.arms),
    ]
    if dear := [arm.name for arm in study.arms if arm.trainings is None]:
        lines.append(
            f"  ({', '.join(dear)}: as many as the worker-seconds of the search pay for, which come on top)"
        )
    if cost.measured and study.listed:
        each = cost.measured.seconds.median / cost.trainings
        whole = each * (sum(counts) + finals * study.final_epochs / cost.epochs)
        lines.append(f"  about {duration(whole)} for these, as if each network were trained equally often")
    elif cost.measured:
        lines.append(
            "  (times: as if each network were like the mean of the first population; those of listed"
        )
        lines.append("  networks were not measured and come on top)")
    return lines


def _arm_words(arm: ArmBudget, cost: Cost, study: StudyCost) -> str:
    if arm.trainings is None:
        return f"{counted(arm.members, 'search')}, not counted"
    finals = f"{counted(arm.members * study.final_seeds, 'final training')}"
    told = f"{arm.members} x {counted(arm.trainings, 'training')}, {finals}"
    if cost.measured is None:
        return told
    if not arm.evolved:
        return f"{told}, time not counted"
    each = cost.measured.seconds.median / cost.trainings
    final = each * study.final_epochs / cost.epochs * study.final_seeds
    return f"{told}, about {duration(arm.members * (arm.trainings * each + final))}"


def _measured_lines(found: Measured) -> list[str]:
    seconds, workers = found.seconds, counted(found.workers, "worker")
    return [
        f"  time              about {duration(seconds.median)} on {workers} of this machine,",
        f"                    {duration(seconds.least)} to {duration(seconds.greatest)} as networks shrink or grow",
        f"                    (a few steps of {counted(found.networks, 'network')} were measured)",
        *([f"  {found.per_gpu}"] if found.per_gpu else []),
        _memory_line("memory of host", found.workers * found.host_memory, found.host_available, workers),
        *(
            [
                _memory_line(
                    "memory of GPU", found.device_memory, found.device_available, "the largest network"
                )
            ]
            if found.device_memory is not None
            else []
        ),
    ]


def _memory_line(what: str, needed: int, available: int | None, whose: str) -> str:
    there = "" if available is None else f"; {scaled(available, 'B')} are there"
    short = ": TOO LITTLE" if available is not None and needed > available else ""
    return f"  {what.ljust(16)}  {scaled(needed, 'B')} for {whose}{there}{short}"


def _three(spread: Spread, unit: str) -> str:
    return " / ".join(scaled(value, unit) for value in (spread.least, spread.median, spread.greatest))
