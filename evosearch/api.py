"""Where everything meets: a configuration, a journal, data and workers become a running search.

This is the Python API too: `run`, `resume` and `retrain` are what the commands of the same names call. Each blocks
until its work is done and raises an `EvosearchError` where it cannot be. Nothing here decides how a search goes;
read `evosearch.runtime` for that.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from evosearch.config import (
    Document,
    RunConfig,
    check_new,
    differing_keys,
    objections,
    with_earlier_defaults,
)
from evosearch.data import DataReport, Dataset, inspect_data, load_dataset
from evosearch.data.memory import available_memory
from evosearch.driving import drive_searches
from evosearch.errors import CannotRunError, InputError, SearchConflictError, TooManyFailuresError
from evosearch.evaluation import MOST_EPOCHS, TrainingSettings, TrainingTask, Trial, evaluation_seed
from evosearch.genome import parse_network
from evosearch.reports import Cost, Measured, counted, estimate_cost, measured
from evosearch.runtime import CONTEXT, Plan, WorkerPool, bred_again
from evosearch.search import FixedListSettings, ListedTrial, measure_of
from evosearch.session import (
    DriveOptions,
    Driving,
    Executor,
    Finished,
    Providers,
    SearchSession,
    artifact_folder,
    artifact_place,
    artifact_store,
    check_parent,
    configuration_of,
    make_plan,
)
from evosearch.storage import (
    EvaluationRow,
    Home,
    SearchRow,
    TestReading,
    bring_back,
    group_of,
    operations_to_json,
)
from evosearch.studies import final_name, is_published, lengthened, reading_key, retrainings
from workers import make_pool, measure_on, time_trainings
from workers.slots import count_cores, count_gpus, kind_of, plan_slots

__all__ = [
    "Driving",
    "Executor",
    "Finished",
    "Providers",
    "artifact_folder",
    "artifact_place",
    "artifact_store",
    "check_trained",
    "data_report",
    "evaluations_bred_again",
    "make_plan",
    "resume",
    "resume_group",
    "retrain",
    "run",
    "run_group",
    "validate",
]


def run(
    config: RunConfig,
    home: Home,
    *,
    source: Document | None = None,
    **how: Unpack[Driving],
) -> Finished:
    """Start the search `config.name`; go on with it where it is unfinished; return it where it is done.

    Args:
        config: the search.
        home: where its journal lies.
        source: what `config` was read from; a search that was begun keeps its values of keys that are not given there
            and whose defaults have changed since. None: all keys are given.
        how: executor, address, takeover, watcher and providers, see `DriveOptions`.

    Raises:
        SearchConflictError: the name belongs to a search of another configuration or of other data, or to a group.
        EvosearchError: as `evosearch.runtime.drive`.
    """
    options = DriveOptions.of(**how)
    _note_all(source, options)
    _bring_back(config, home, options)
    if members := home.members_of(config.name):
        raise SearchConflictError(
            f"{config.name!r} is a group of {counted(len(members), 'search')}; "
            f"give the seeds it has with --seeds, or take another --name"
        )
    return drive_searches([_begun(config, home, options, source)])[0]


def run_group(
    config: RunConfig,
    seeds: Sequence[int],
    home: Home,
    *,
    source: Document | None = None,
    **how: Unpack[Driving],
) -> tuple[Finished, ...]:
    """Run a search of `config` for each seed, side by side on the same workers, as `run` would run each.

    Returns: the searches `NAME/seed-N`, in the order of `seeds`. Each is what it would have been alone.
    """
    options = DriveOptions.of(**how)
    _note_all(source, options)
    _bring_back(config, home, options)
    if home.journal.find(config.name) is not None:
        raise SearchConflictError(
            f"{config.name!r} is a single search, run without --seeds; take another --name for the group"
        )
    members = [replace(config, name=f"{config.name}/seed-{seed}", seed=seed) for seed in seeds]
    sources = [source and source.with_value(("seed",), seed, "--seeds") for seed in seeds]
    return drive_searches(
        [_begun(one, home, options, its) for one, its in zip(members, sources, strict=True)]
    )


def resume_group(
    name: str,
    home: Home,
    *,
    generations: int | None = None,
    **how: Unpack[Driving],
) -> tuple[Finished, ...]:
    """Go on with every search of the group `name`, side by side, as `resume` would with each."""
    options = DriveOptions.of(**how)
    for row in home.members_of(name)[:1]:  # brings all of them back
        _bring_back(configuration_of(row), home, options)
    members = [_resumed(member, home, generations, options) for member in home.members_of(name)]
    if not members:
        home.find_search(name)  # neither a group nor a search: says what there is
    return drive_searches(members, generations)


def resume(
    name: str,
    home: Home,
    *,
    generations: int | None = None,
    **how: Unpack[Driving],
) -> Finished:
    """Go on with the search `name`, to `generations` generations in all where given; otherwise as `run`.

    Raises:
        SearchConflictError: there is no such search, or `generations` lies below its present total.
    """
    options = DriveOptions.of(**how)
    _bring_back(configuration_of(home.find_search(name)), home, options)
    return drive_searches([_resumed(home.find_search(name), home, generations, options)], generations)[0]


def _note_all(source: Document | None, options: DriveOptions) -> None:
    for line in source.notes if source else ():
        options.watcher.note(line)


def _bring_back(config: RunConfig, home: Home, options: DriveOptions) -> None:
    """Where the journal is lost or behind, what the artifact store has of the search, or of its group, comes first."""
    store, takeover = artifact_store(home, config), options.takeover
    for line in bring_back(home, store, group_of(config.name), options.onlooker, takeover=takeover):
        options.watcher.note(line)


def _begun(config: RunConfig, home: Home, options: DriveOptions, source: Document | None) -> SearchSession:
    row = home.journal.find(config.name)
    if row is None:
        check_new(config, source)
    else:
        config = _merged(config, row, source)
        _note_objections(config, options)
    return SearchSession(home, _at(config, options.address), row, options, _parent(home, row))


def _resumed(row: SearchRow, home: Home, generations: int | None, options: DriveOptions) -> SearchSession:
    name, config = row.name, configuration_of(row)
    if row.parent is None:  # a retraining follows its search
        _note_objections(config, options)
    if generations is not None:
        config.strategy.with_generations(generations)  # says where it cannot be
        if generations < row.generations:
            raise SearchConflictError(
                f"--generations is {generations}, below the {row.generations} of {name!r}; give the new total"
            )
    return SearchSession(home, _at(config, options.address), row, options, _parent(home, row))


def _note_objections(config: RunConfig, options: DriveOptions) -> None:
    """What is refused to new searches was allowed when this one began."""
    for line in objections(config):
        options.watcher.note(f"{line}; {config.name!r} began before that was refused, and goes on")


def retrain(
    name: str,
    home: Home,
    *,
    epochs: int | None = None,
    seeds: Sequence[int] = (1,),
    **how: Unpack[Driving],
) -> tuple[TestReading, ...]:
    """Train the best of the finished search `name` again, and let each network that comes of it read the test split once.

    It is a search of its own, `NAME/final-EPOCHS`, and survives what every search survives. What was trained and read
    before is returned as recorded.

    Args:
        name: the search.
        home: where its journal lies.
        epochs: None: `final.epochs`.
        seeds: one training each, from a seed of its own; at least 1, since 0 is the search's.
        how: as in `run`.

    Returns: the readings, in the order of `seeds`.

    Raises:
        InputError: a seed is no seed of a retraining, or there are too many epochs.
        SearchConflictError: there is no such search, it is unfinished, or nothing in it ever succeeded.
        HeldError: the search, or the retraining, is held by another driver.
        TooManyFailuresError: a training failed for good.
    """
    check_repeats(seeds)
    if epochs is not None and epochs > MOST_EPOCHS:
        raise InputError(f"--epochs is {epochs}; it must be at most {MOST_EPOCHS:,}")
    options = DriveOptions.of(**how)
    _bring_back(configuration_of(home.find_search(name)), home, options)
    row, best = home.find_search(name), home.journal.best(name)
    check_parent(home, row, options.onlooker)
    if best is None:
        raise SearchConflictError(f"no evaluation of {name!r} succeeded; there is nothing to retrain")
    config = configuration_of(row)
    final = replace(_trained_by(config, best.number), epochs=epochs or config.final.epochs)
    wanted = retrainings(best.chromosome, best.candidate, seeds)
    keys = [_reading_key(config, final, one) for one in wanted]
    known = _recorded(home, name)
    missing = [one for one, key in zip(wanted, keys, strict=True) if key not in known]
    if not missing:
        options.watcher.note("recorded earlier: each network reads the test split once")
        _publish_again(home, row, known[keys[0]].search, options)
        return tuple(known[key] for key in keys)
    child = _retraining(home, row, replace(config, training=final), missing, options)
    if not child.is_done(None):
        each = "" if len(missing) == 1 else f" from each of {len(missing)} seeds"
        options.watcher.note(
            f"training candidate {best.candidate} for {counted(final.epochs, 'epoch')}{each}, then reading the test split"
        )
    drive_searches([child])
    check_trained(home, child.config.name, missing)
    known = _recorded(home, name)
    return tuple(known[key] for key in keys)


def _publish_again(home: Home, parent: SearchRow, name: str, options: DriveOptions) -> None:
    """The winner of the retraining `name`, where its files are missing: its driver may have been killed before it left them."""
    row = home.find_search(name)
    config = configuration_of(row)
    if row.parent == parent.name and not is_published(artifact_store(home, config).within(parent.name)):
        session = SearchSession(home, config, row, options, parent)
        session.publish_winner(session.load(begun=True))


def check_trained(home: Home, name: str, wanted: Sequence[ListedTrial] | None = None) -> None:
    """See that of the retraining `name`, which is done, each training succeeded; `wanted`: of these alone.

    Raises:
        TooManyFailuresError: some failed.
    """
    every = [row for row in home.journal.evaluations(name) if row.status == "failed"]
    asked = None if wanted is None else {(one.network, one.repeat) for one in wanted}
    failed = [row for row in every if asked is None or (row.chromosome, row.repeat) in asked]
    if failed:
        raise TooManyFailuresError(
            f"of the trainings of {name!r}, {len(failed)} failed, from seed {', '.join(str(row.repeat) for row in failed)}; "
            f"the last reason: {failed[-1].reasons[-1]}"
        )


def check_repeats(seeds: Sequence[int]) -> None:
    """See that retrainings can have these seeds.

    Raises:
        InputError: there are none, one is there twice, or one is not above 0.
    """
    if not seeds or min(seeds) < 1 or len(set(seeds)) < len(seeds):
        raise InputError(
            f"--seeds of a retraining is {', '.join(map(str, seeds)) or 'empty'}; give different numbers from 1 on, for "
            "instance 1..5 (0 is the seed that the search itself trained with)"
        )


def _retraining(
    home: Home, parent: SearchRow, config: RunConfig, wanted: Sequence[ListedTrial], options: DriveOptions
) -> SearchSession:
    """The retraining of `parent` as a search; what it has trained before stays, `wanted` is added to it."""
    name = final_name(parent.name, config.training.epochs)
    row = home.journal.find(name)
    if row is not None and row.parent != parent.name:
        raise SearchConflictError(
            f"{name!r} is a search of its own, whose name a retraining of {parent.name!r} for "
            f"{counted(config.training.epochs, 'epoch')} would have; give other --epochs"
        )
    before = configuration_of(row).strategy if row else None
    known = before if isinstance(before, FixedListSettings) else None
    strategy = lengthened(known, wanted, measure_of(config.strategy))
    executor: Executor = options.executor or ("local" if parent.executor == "local" else "ray")
    as_parent = replace(options, executor=executor if row is None else options.executor)
    child = replace(config, name=name, strategy=strategy)
    return SearchSession(home, _at(child, options.address), row, as_parent, parent)


def _trained_by(config: RunConfig, trial: int) -> TrainingSettings:
    """How a trial of a search was trained; what a list says of one goes before what holds for all."""
    listed = config.strategy.trials if isinstance(config.strategy, FixedListSettings) else ()
    return (listed[trial].settings if listed else None) or config.training


def _parent(home: Home, row: SearchRow | None) -> SearchRow | None:
    return None if row is None or row.parent is None else home.find_search(row.parent)


def _recorded(home: Home, name: str) -> dict[str, TestReading]:
    """The readings that have a result, by key; of one that was begun and never ended nobody has seen any."""
    readings = home.journal.test_readings(name)
    return {reading.key: reading for reading in readings if reading.metrics is not None}


def _reading_key(config: RunConfig, training: TrainingSettings, one: ListedTrial) -> str:
    seed = evaluation_seed(config.seed, parse_network(one.network).key, one.repeat)
    return reading_key(one.source or 0, training.epochs, seed)


def evaluations_bred_again(name: str, home: Home) -> tuple[EvaluationRow, ...]:
    """Every evaluation of the search `name`, with curves, in which also what an older version kept only in words of its
    operators is there as data: each generation is bred again from what its journal says of the one before.

    Raises:
        SearchConflictError: there is no such search, or its images are others now.
        JournalError: this version would breed otherwise.
        EvosearchError: its images cannot be read here.
    """
    rows = home.journal.evaluations(name, with_curve=True)
    if all(row.operations is not None for row in rows):
        return rows
    row = home.find_search(name)
    session = SearchSession(home, configuration_of(row), row, DriveOptions(), _parent(home, row))
    dataset = session.load(begun=True)
    session.check_data(dataset)
    events = (recorded.event for recorded in home.journal.replay(name))
    operations = bred_again(session.plan(dataset, None), events)
    told = {number: tuple(operations_to_json(found)) for number, found in operations.items()}
    return tuple(replace(one, operations=told.get(one.candidate, one.operations)) for one in rows)


def data_report(config: RunConfig) -> DataReport:
    """What the configuration's data are, bad files included."""
    return inspect_data(config.data, env=os.environ, cwd=Path.cwd(), cache=None)


MOST_MEASURED = 12
"""Networks that `validate` measures: enough for the cost model, and a second or two each."""

MOST_MEASURING = 4
"""Workers that measure at most: they slow each other down as in a search, and each takes seconds to start."""


def validate(
    config: RunConfig,
    source: Document | None = None,
    *,
    measure: bool = False,
    make_pool: Callable[..., WorkerPool] = make_pool,
) -> Cost:
    """Check all of `config` that can be checked without training, and estimate what the search costs.

    Args:
        config: the search.
        source: what it was read from.
        measure: train a few steps of some of the first networks on this machine, which takes up to half a minute, and
            tell hours and memory; where that cannot be, `Cost.unmeasured` says why.
        make_pool: as `workers.make_pool`.

    Raises:
        InputError: the configuration, its data or its space is wrong.
    """
    config.storage.check()
    check_new(config, source)
    dataset = load_dataset(config.data, env=os.environ, cwd=Path.cwd(), cache=None)
    plan = make_plan(config, dataset)
    trials = [one for one in plan.strategy.ask(plan.strategy.start()) if plan.network_size(one)]
    first = [size for trial in trials if (size := plan.network_size(trial))]
    cost = estimate_cost(first, plan.strategy.evaluations, len(dataset.train), config.training)
    if not measure:
        return cost
    try:
        return replace(cost, measured=_measured(config, dataset, plan, trials, make_pool))
    except (CannotRunError, OSError) as error:
        return replace(cost, unmeasured=str(error))


def _measured(
    config: RunConfig,
    dataset: Dataset,
    plan: Plan,
    trials: Sequence[Trial],
    make_pool: Callable[..., WorkerPool],
) -> Measured:
    """What the search takes on this machine's workers, in processes: whatever Ray would do, they train alike."""
    slots = plan_slots(config.workers, config.training.threads, count_gpus(), count_cores())
    few = replace(config.workers, count=min(len(slots), MOST_MEASURING), device=kind_of(slots))
    sizes = [size for trial in trials if (size := plan.size(trial))]
    order = sorted(range(len(trials)), key=lambda place: sizes[place].work[2])
    tasks = {
        place: task
        for place in (order[at] for at in spread_over(len(order), MOST_MEASURED))
        if isinstance(task := plan.task(trials[place]), TrainingTask)
    }
    pool = make_pool("local", few, config.training.threads, measure_on, dataset.for_search())
    timed = time_trainings(pool, list(tasks.values()))
    on_gpu = timed.device_memory is not None
    peak = max(size.peak for size in sizes) + CONTEXT + dataset.train.images.nbytes
    return measured(
        [size.work for size in sizes],
        {list(tasks)[number]: seconds for number, seconds in timed.seconds.items()},
        plan.strategy.evaluations,
        len(slots),
        host_memory=timed.host_memory,
        host_available=available_memory(),
        device_memory=peak if on_gpu else None,
        device_available=timed.device_memory // config.workers.per_gpu if timed.device_memory else None,
    )


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


def _at(config: RunConfig, address: str | None) -> RunConfig:
    """`config` on the Ray cluster at `address`, where one is given; it is journaled, so a resume goes there too."""
    if address is None:
        return config
    return replace(config, workers=replace(config.workers, address=address))


def _merged(config: RunConfig, row: SearchRow, source: Document | None) -> RunConfig:
    """The journaled configuration, with what may change taken from `config`."""
    journaled = configuration_of(row)
    config = with_earlier_defaults(config, journaled, source.places if source else None)
    ours, theirs = config.strategy, journaled.strategy
    # Fewer generations than an extension made them is not another search.
    extended = theirs.generations < row.generations
    total = ours.generations if extended and ours.generations <= row.generations else row.generations
    compared = replace(journaled, strategy=theirs.with_generations(total))
    if isinstance(ours, FixedListSettings) and isinstance(theirs, FixedListSettings) and theirs.begins(ours):
        journaled = compared = replace(journaled, strategy=ours)
    if different := differing_keys(config, compared):
        raise SearchConflictError(
            f"{config.name!r} is a search of another configuration: {'; '.join(different)}; take these values, "
            "or another --name (`evosearch resume NAME --generations N` extends a search)"
        )
    return replace(
        journaled, data=config.data, workers=config.workers, storage=config.storage, final=config.final
    )
