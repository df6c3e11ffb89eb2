"""Before a search: what its data are, whether its configuration holds, and what it would cost on this machine."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from evosearch.blueprint import Problem
from evosearch.config import (
    Document,
    RunConfig,
    check_new,
)
from evosearch.data import DataReport, Dataset, inspect_data, load_dataset
from evosearch.data.memory import available_memory
from evosearch.errors import CannotRunError, ConfigError, InvalidChromosomeError
from evosearch.evaluation import FeaturesOf, TrainingTask, Trial, check_sample_of, evaluation_seed
from evosearch.genome import parse_network
from evosearch.listed import resolved, sized
from evosearch.reports import Cost, StudyCost, estimate_cost, measured
from evosearch.runtime import CONTEXT, Plan, WorkerPool
from evosearch.search import (
    FixedListSettings,
    ListedTrial,
    StrategySettings,
    features_of,
    halving_of,
    measure_of,
    rungs_in_all,
    whole_trainings,
)
from evosearch.session import (
    make_plan,
)
from evosearch.storage import Home, home_folder
from evosearch.studies import (
    BaselinesStudy,
    BatchNormStudy,
    Common,
    DropoutStudy,
    budgets_of,
    check_threshold,
    is_text,
)
from evosearch.studying import check_study
from workers import NO_GPU, make_pool, measure_on, measure_sizes, time_trainings
from workers.packing import Packing
from workers.slots import count_cores, gpus_for, kind_of, plan_slots

MOST_MEASURED = 12
"""Networks that `validate` measures: enough for the cost model, and a second or two each."""


MOST_MEASURING = 4
"""Workers that measure at most: they slow each other down as in a search, and each takes seconds to start."""


def data_report(config: RunConfig) -> DataReport:
    """What the configuration's data are, bad files and the audit included; decoded images and the audit are kept in the home
    that the configuration names, so that a second call, and a search, are quick.
    """
    cache = home_folder(config.storage.journal, env=os.environ, cwd=Path.cwd()) / "cache"
    return inspect_data(config.data, env=os.environ, cwd=Path.cwd(), cache=cache)


def validate(
    config: RunConfig,
    source: Document | None = None,
    *,
    home: Home | None = None,
    measure: bool = False,
    make_pool: Callable[..., WorkerPool] = make_pool,
) -> Cost:
    """Check all of `config` that can be checked without training, and estimate what the search costs.

    Args:
        config: the search.
        source: what it was read from.
        home: where searches are looked up that a study names; None: nowhere, as `StudyCost.unchecked` says.
        measure: train a few steps of some of the first networks on this machine, which takes up to half a minute, and
            tell hours and memory; where that cannot be, `Cost.unmeasured` says why.
        make_pool: as `workers.make_pool`.

    Raises:
        InputError: the configuration, its data or its space is wrong.
    """
    config.storage.check()
    check_new(config, source)
    config = resolved(config, None, None, source)
    dataset = load_dataset(config.data, env=os.environ, cwd=Path.cwd(), cache=None)
    config.training.check_images(len(dataset.train))
    check_threshold(config.final, dataset)
    _check_samples(config, dataset)
    problem = Problem(dataset.for_search().image, len(dataset.classes))
    unchecked = check_study(config, home, source, problem, measure_sizes) if config.study else ()
    study, priced = _study_cost(config, source, unchecked), _priced(config)
    if study is not None:
        study = replace(study, listed=priced is not config.strategy)
    config = replace(config, strategy=sized(priced, problem, measure_sizes))
    plan = make_plan(config, dataset)
    asked = plan.strategy.ask(plan.strategy.start())
    trials = [one for one in asked if plan.network_size(one)]
    first = [size for trial in trials if (size := plan.network_size(trial))]
    over = features_of(config.strategy)
    images, training = len(dataset.train), config.training
    if over is not None:
        labels, classes = dataset.train.labels, dataset.classes
        images = over.check_images(labels, classes, training, config.seed)
        training = plan.settings(asked[0])
    cost = replace(
        estimate_cost(
            first,
            plan.strategy.evaluations,
            images,
            training,
            whole_trainings(config.strategy),
            rungs_in_all(config.strategy),
        ),
        notes=dataset.notes,
        study=study,
        **_contenders(config, plan.strategy.evaluations),
    )
    if not measure:
        return cost
    if not first or over is not None:
        return replace(cost, unmeasured="only whole trainings of networks are")
    try:
        return _measured(cost, config, dataset, plan, trials, make_pool)
    except (CannotRunError, OSError) as error:
        return replace(cost, unmeasured=str(error))


def _contenders(config: RunConfig, evaluations: int) -> dict[str, Any]:
    """Those of the final step as `Cost` has them; nothing where the search's own best is the winner."""
    asked = config.final.contenders
    if asked == 1:
        return {}
    there: int = getattr(config.strategy, "networks_in_all", evaluations)
    return {
        "contenders": min(asked, there),
        "contenders_asked": asked,
        "contender_trainings": config.final.contender_trainings,
    }


def _check_samples(config: RunConfig, dataset: Dataset) -> None:
    """See that each search of a dropout study has the images that it needs; of networks that are named by a search the study sees to
    that when it begins.
    """
    study, batch = config.study, config.training.batch_size
    if not isinstance(study, DropoutStudy):
        return
    for network in filter(is_text, study.networks):
        for seed in study.seeds:
            drawn = evaluation_seed(seed, FeaturesOf(parse_network(network)).key)
            check_sample_of(dataset.train.labels, dataset.classes, study.sample, batch, drawn, "study.sample")


def _priced(config: RunConfig) -> StrategySettings:
    """What is estimated: the file's strategy; of a study that evolves nothing one training of each network that it names."""
    networks: tuple[str, ...] = ()
    match config.study:
        case BaselinesStudy(evolved=None, entries=entries):
            networks = tuple(one.network for one in entries)
        case BatchNormStudy(network=str(network)):
            networks = (network,)
        case DropoutStudy(networks=named):
            networks = named
        case _:
            pass
    trials = tuple(ListedTrial(one) for one in networks if is_text(one))
    return (
        FixedListSettings(trials=trials, fitness=measure_of(config.strategy)) if trials else config.strategy
    )


def _study_cost(config: RunConfig, source: Document | None, unchecked: tuple[str, ...]) -> StudyCost | None:
    """What the file's study trains; None where it is no study's."""
    if config.study is None:
        return None
    try:
        arms = budgets_of(config.study, Common(config.strategy, config.space, config.training))
    except (ConfigError, InvalidChromosomeError) as error:
        place = f"{source.place(('study',))}: " if source else ""
        raise type(error)(f"{place}{error}") from None
    return StudyCost(arms, config.final.seeds, config.final.epochs, unchecked)


def _measured(
    cost: Cost,
    config: RunConfig,
    dataset: Dataset,
    plan: Plan,
    trials: Sequence[Trial],
    make_pool: Callable[..., WorkerPool],
) -> Cost:
    """`cost`, with what the search takes on this machine's workers, in processes: whatever Ray would do, they train alike."""
    workers, threads, data = config.workers, config.training.threads, dataset.for_search()
    gpus, cores = gpus_for(workers.device), count_cores()
    slots = plan_slots(workers, threads, gpus, cores)
    sizes = [size for trial in trials if (size := plan.size(trial))]
    order = sorted(range(len(trials)), key=lambda place: sizes[place].work[2])
    tasks = {
        place: task
        for place in (order[at] for at in spread_over(len(order), MOST_MEASURED))
        if isinstance(task := plan.task(trials[place]), TrainingTask)
    }
    largest = max(size.peak for size in sizes)
    on_gpus = kind_of(slots) == "cuda"
    on_auto = workers.per_gpu == "auto" and on_gpus
    packing = Packing.of(data, largest, threads) if on_auto else None
    most = (workers.count or MOST_MEASURING) if packing else len(slots)
    few = replace(workers, count=min(most, MOST_MEASURING), device=kind_of(slots))
    pool = make_pool("local", few, threads, measure_on, data, None, None, largest)
    timed = time_trainings(pool, list(tasks.values()))
    cost = replace(cost, auto_here=timed.precision)
    if timed.trouble:
        return replace(cost, unmeasured=timed.trouble)
    packed = packing.on(timed.processor, timed.device_memory, cores // gpus) if packing else None
    there = len(slots) if packed is None else min(gpus * packed.number, workers.count or gpus * packed.number)
    on_gpu = timed.device_memory is not None
    peak = largest + CONTEXT + dataset.train.images.nbytes
    found = measured(
        [size.work for size in sizes],
        {list(tasks)[number]: seconds for number, seconds in timed.seconds.items()},
        _measured_trainings(config, plan),
        there,
        NO_GPU if workers.per_gpu == "auto" and not on_gpus else str(packed or ""),
        host_memory=timed.host_memory,
        host_available=available_memory(),
        device_memory=peak if on_gpu else None,
        device_available=_share(timed.device_memory, packed.number if packed else workers.per_gpu),
    )
    return replace(cost, measured=found)


def _share(memory: int | None, per_gpu: int | Literal["auto"]) -> int | None:
    """Bytes of a GPU for each of its workers; None where that is not known, and on CPUs."""
    return memory // per_gpu if memory is not None and isinstance(per_gpu, int) else None


def _measured_trainings(config: RunConfig, plan: Plan) -> float:
    """How many like those that were measured there are: with halving that is the first rung."""
    halving, whole = halving_of(config.strategy), whole_trainings(config.strategy)
    if halving is None or whole is None:
        return plan.strategy.evaluations
    return whole * halving.epochs[-1] / halving.epochs[0]


def spread_over(count: int, most: int) -> list[int]:
    """At most `most` places of `count`, spread evenly: the middle first, then the ends, then between.

    >>> spread_over(9, 5)
    [4, 0, 8, 2, 6]
    """
    if count <= most:
        places = list(range(count))
    else:
        places = sorted({round(number * (count - 1) / (most - 1)) for number in range(most)})
    first = dict.fromkeys((places[len(places) // 2], places[0], places[-1])) if places else {}
    return [*first, *(place for place in places if place not in first)]
