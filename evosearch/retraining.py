"""The final step as a command: the best of a search trained again, as a search of its own, and the test split read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Unpack

from evosearch.config import (
    RunConfig,
)
from evosearch.driving import drive_searches
from evosearch.errors import EvosearchError, InputError, SearchConflictError, TooManyFailuresError
from evosearch.evaluation import MOST_EPOCHS, TrainingSettings
from evosearch.listed import imagenet_for, starting_at
from evosearch.providers import DriveOptions, Driving, Executor
from evosearch.reports import UNJUDGED, counted, is_unjudged
from evosearch.search import FixedListSettings, ListedTrial, features_of, hand_made_rule, measure_of, sizes_of
from evosearch.session import (
    SearchSession,
    artifact_store,
    at_address,
    bring_back_lost,
    check_parent,
    configuration_of,
)
from evosearch.storage import (
    Home,
    SearchRow,
    TestReading,
)
from evosearch.studies import (
    contender_trials,
    contenders_name,
    contenders_of,
    final_name,
    is_published,
    lengthened,
    listed_key,
    retrainings,
    winner_of,
)


def retrain(
    name: str,
    home: Home,
    *,
    epochs: int | None = None,
    seeds: Sequence[int] | None = None,
    weights: str | None = None,
    **how: Unpack[Driving],
) -> tuple[TestReading, ...]:
    """Train the best of the finished search `name` again, and let each network that comes of it read the test split once. Where
    `final.contenders` asks for it, some of the best are trained afresh before, and the one that wins takes its place.

    It is a search of its own, `NAME/final-EPOCHS`, and survives what every search survives. What was trained and read
    before is returned as recorded.

    Args:
        name: the search.
        home: where its journal lies.
        epochs: None: `final.epochs`.
        seeds: one training each, from a seed of its own; at least 1, since 0 is the search's. None: 1 to `final.seeds`.
        weights: a safetensors file that they start from, for instance another search's winner.safetensors; its output layer
            is drawn again where it has other classes. None: as the best itself started.
        how: as in `run`.

    Returns: the readings, in the order of `seeds`.

    Raises:
        InputError: a seed is no seed of a retraining, there are too many epochs, or the weights are none of this network.
        SearchConflictError: there is no such search, it is unfinished, or nothing in it ever succeeded.
        HeldError: the search, or the retraining, is held by another driver.
        TooManyFailuresError: a training failed for good.
    """
    if seeds is not None:
        check_repeats(seeds)
    if epochs is not None and epochs > MOST_EPOCHS:
        raise InputError(f"--epochs is {epochs}; it must be at most {MOST_EPOCHS:,}")
    options = DriveOptions.of(**how)
    bring_back_lost(configuration_of(home.find_search(name)), home, options)
    train_contenders(name, home, options)
    prepared = prepare_retraining(name, home, epochs, seeds, options, weights)
    if prepared.session is None:
        options.watcher.note("recorded earlier: each network reads the test split once")
        if not publish_again(home, prepared, options):
            options.watcher.note(weights_are_elsewhere([name]))
        return prepared.readings(home)
    prepared.announce()
    drive_searches([prepared.session])
    check_trained(home, prepared.session.config.name, prepared.trials)
    return prepared.readings(home)


def train_contenders(name: str, home: Home, options: DriveOptions) -> None:
    """Train the contenders for the final step afresh, where a search has several; those that were are not trained again.

    Raises:
        SearchConflictError: as `retrain`.
        TooManyFailuresError: a resume goes on with them.
    """
    row = home.find_search(name)
    config = configuration_of(row)
    if config.final.contenders == 1 or row.parent is not None:
        return
    check_parent(home, row, options.onlooker)
    rows = home.journal.evaluations(name)
    found = contenders_of(rows, home.journal.best(name), config.final.contenders)
    if not found:
        return
    wanted = contender_trials(
        {one.candidate: one.chromosome for one, _ in found}, config.final.contender_trainings
    )
    session, trials = _child(contenders_name(name), home, row, config, wanted, options)
    if session.is_done(None):
        return
    ended = _ended(home, contenders_name(name))
    left = sum(one not in ended for one in trials)
    asked = config.final.contenders
    few = f" ({asked} are asked for, and no more succeeded)" if len(found) < asked else ""
    before = f"; {len(trials) - left:,} others were trained before" if left < len(trials) else ""
    options.watcher.note(
        f"contenders: the best {counted(len(found), 'network')}{few}, each trained afresh "
        f"{counted(config.final.contender_trainings, 'time')} for {counted(config.training.epochs, 'epoch')}: "
        f"{counted(left, 'training')} on top of the final ones{before}"
    )
    drive_searches([session])


def _ended(home: Home, name: str) -> list[ListedTrial]:
    """Which trainings of the list `name` have ended; none where there is no such list yet."""
    row = home.journal.find(name)
    if row is None:
        return []
    listed: Sequence[ListedTrial] = getattr(configuration_of(row).strategy, "trials", ())
    return [listed[one.number] for one in home.journal.evaluations(name) if one.status in {"done", "failed"}]


@dataclass(frozen=True)
class PreparedRetraining:
    """The retraining of one search, before it is driven: beside others where there are more."""

    name: str
    """The search whose best is trained again."""
    keys: tuple[str, ...]
    """Of the readings that are wanted, in order."""
    candidate: int
    """Number of the best in its search."""
    session: SearchSession | None = None
    """What is to be driven; None: all were read before."""
    trials: tuple[ListedTrial, ...] = ()
    """What of its list is wanted and was not read yet."""

    def readings(self, home: Home) -> tuple[TestReading, ...]:
        """Those that are wanted, once it was driven."""
        known = _recorded(home, self.name)
        return tuple(known[key] for key in self.keys)

    def announce(self) -> None:
        """Say what is going to be trained, where anything is."""
        if self.session is None or self.session.is_done(None):
            return
        epochs, seeds = self.session.config.training.epochs, len(self.trials)
        each = "" if seeds == 1 else f" from each of {seeds} seeds"
        self.session.options.watcher.note(
            f"training candidate {self.candidate} for {counted(epochs, 'epoch')}{each}, then reading the test split"
        )


def prepare_retraining(
    name: str,
    home: Home,
    epochs: int | None,
    seeds: Sequence[int] | None,
    options: DriveOptions,
    weights: str | None = None,
) -> PreparedRetraining:
    """What `retrain` drives, which see."""
    row, best = home.find_search(name), winner_of(home, name)
    check_parent(home, row, options.onlooker)
    if features_of(configuration_of(row).strategy) is not None:
        raise SearchConflictError(
            f"{name!r} looks for a rate of dropout and has no network of its own to retrain; give training.class_dropout that rate "
            "in a list"
        )
    if best is None and row.counts["done"] and is_unjudged(row):
        raise SearchConflictError(f"{name!r} has no best to retrain: {UNJUDGED}")
    if best is None:
        raise SearchConflictError(f"no evaluation of {name!r} succeeded; there is nothing to retrain")
    config = configuration_of(row)
    final = replace(
        config.final.training(_trained_by(config, best.number)), epochs=epochs or config.final.epochs
    )
    repeats = range(1, config.final.seeds + 1) if seeds is None else seeds
    wanted = retrainings(best.chromosome, best.candidate, repeats, config.final)
    sizes = sizes_of(config.strategy)
    wanted = tuple(replace(one, size=sizes.get(one.network)) for one in wanted)
    if weights is not None:
        wanted = tuple(starting_at(one, weights) for one in wanted)
        final = imagenet_for(wanted[0], final)
    keys = tuple(listed_key(one, final, config.seed) for one in wanted)
    known = _recorded(home, name)
    missing = [one for one, key in zip(wanted, keys, strict=True) if key not in known]
    if not missing:
        return PreparedRetraining(name, keys, best.candidate)
    session, trials = _retraining(home, row, replace(config, training=final), missing, options)
    return PreparedRetraining(name, keys, best.candidate, session, trials)


def publish_again(home: Home, prepared: PreparedRetraining, options: DriveOptions) -> bool:
    """The winner of a retraining that was read before, where another's files are there or none: its driver may have been
    killed before it left them. It is the search itself where the first version read the test split.

    Returns: whether its weights are there; not where the journal alone has come from another machine.
    """
    parent = home.find_search(prepared.name)
    row = home.find_search(prepared.readings(home)[0].search)
    config = configuration_of(row)
    session = SearchSession(home, config, row, options, parent)
    if row.parent is not None:
        session.draw_final()
    best = session.winner
    store = artifact_store(home, config)
    if best is None or is_published(store.within(parent.name), best):
        return True
    try:
        if not store.within(row.name).exists(best.weights or ""):
            return False
        dataset = session.load(begun=True)
        session.check_data(dataset)
    except EvosearchError as error:  # the record is what was asked for, and needs no images
        options.watcher.note(f"no winner.safetensors could be left: {error}")
        return True
    session.publish_winner(dataset)
    return True


def weights_are_elsewhere(names: Sequence[str]) -> str:
    """What to say of searches whose best was trained where its weights are, and not here."""
    which = names[0] if len(names) == 1 else f"{counted(len(names), 'search')}, {names[0]!r} first,"
    return (
        f"the trained weights of {which} are not on this machine, so there is no winner.safetensors; `evosearch retrain "
        f"{names[0]}` with other --epochs or --seeds leaves new ones"
    )


def check_trained(home: Home, name: str, wanted: Sequence[ListedTrial] | None = None) -> None:
    """See that of the retraining `name`, which is done, each training succeeded; `wanted`: of these alone.

    Raises:
        TooManyFailuresError: some failed.
    """
    failed = [row for row in home.journal.evaluations(name) if row.status == "failed"]
    if wanted is not None:
        listed = configuration_of(home.find_search(name)).strategy
        asked = {n for n, one in enumerate(getattr(listed, "trials", ())) if one in wanted}
        failed = [row for row in failed if row.number in asked]
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
) -> tuple[SearchSession, tuple[ListedTrial, ...]]:
    """The retraining of `parent` as a search, and `wanted` as its trials: what it has trained before stays as it is, they
    are added to it. `config`: the parent's, with the training of `wanted`.
    """
    return _child(final_name(parent.name, config.training.epochs), home, parent, config, wanted, options)


def _child(
    name: str,
    home: Home,
    parent: SearchRow,
    config: RunConfig,
    wanted: Sequence[ListedTrial],
    options: DriveOptions,
) -> tuple[SearchSession, tuple[ListedTrial, ...]]:
    """The same under this name."""
    row = home.journal.find(name)
    if row is not None and row.parent != parent.name:
        raise SearchConflictError(
            f"{name!r} is a search of its own, whose name a retraining of {parent.name!r} for "
            f"{counted(config.training.epochs, 'epoch')} would have; give other --epochs"
        )
    before = configuration_of(row) if row else None
    training = before.training if before else config.training
    trials = tuple(
        one if config.training == training else replace(one, settings=config.training) for one in wanted
    )
    known = before.strategy if before and isinstance(before.strategy, FixedListSettings) else None
    strategy = lengthened(known, trials, measure_of(config.strategy), hand_made_rule(config.strategy))
    executor: Executor = options.executor or ("local" if parent.executor == "local" else "ray")
    as_parent = replace(options, executor=executor if row is None else options.executor)
    child = replace(config, name=name, training=training, strategy=strategy)
    return SearchSession(home, at_address(child, options.address), row, as_parent, parent), trials


def _trained_by(config: RunConfig, trial: int) -> TrainingSettings:
    """How a trial of a search was trained; what a list says of one goes before what holds for all."""
    listed = config.strategy.trials if isinstance(config.strategy, FixedListSettings) else ()
    return (listed[trial].settings if listed else None) or config.training


def _recorded(home: Home, name: str) -> dict[str, TestReading]:
    """The readings that have a result, by key; of one that was begun and never ended nobody has seen any."""
    readings = home.journal.test_readings(name)
    return {reading.key: reading for reading in readings if reading.metrics is not None}
