"""Searches side by side: on one data set, one pool of workers, in one driver, each to its own end."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

from evosearch.blueprint import Memory, training_memory
from evosearch.data import Dataset
from evosearch.errors import SearchConflictError, TooManyFailuresError
from evosearch.listed import prepared
from evosearch.runtime import (
    Fleet,
    Member,
    Plan,
    StopSignals,
    Surroundings,
    TimeLimits,
    WorkerPool,
    WorkerSettings,
    checkpoint_room,
    drive,
    replay,
    starting,
)
from evosearch.session import Finished, SearchSession, artifact_store, device_of
from evosearch.storage import JournalLogbook, StoreProbe, check_space
from workers import driver_trouble, train_on


def drive_searches(sessions: Sequence[SearchSession], generations: int | None = None) -> tuple[Finished, ...]:
    """Drive searches side by side to their ends; `generations` extends them.

    Raises:
        TooManyFailuresError: some stopped; the others have ended with all that they leave.
        EvosearchError: as `evosearch.api.run`.
    """
    stopped: TooManyFailuresError | None = None
    with ExitStack() as stack:
        signals = stack.enter_context(StopSignals())
        if not all(one.is_done(generations) for one in sessions):
            sessions[0].options.watcher.wait("reading the data")
        dataset = sessions[0].load(begun=any(one.row or one.parent for one in sessions))
        _check_alike(sessions)
        for one in sessions:
            one.check_data(dataset)
        unfinished = [one for one in sessions if not one.is_done(generations)]
        for one in sessions:
            if one not in unfinished:
                one.journal_what_changed(signals)
        if unfinished:
            try:
                _drive(unfinished, dataset, generations, stack, signals)
            except TooManyFailuresError as error:
                stopped = error
    done = [one for one in sessions if not stopped or one.home.find_search(one.config.name).state == "done"]
    ended = tuple(one.finished(dataset) for one in done)
    sessions[0].draw_group()
    if stopped:
        raise stopped
    return ended


def _check_alike(sessions: Sequence[SearchSession]) -> None:
    """Searches that share a pool train on the same images and the same kind of device."""
    home, begun = sessions[0].home, [one.row for one in sessions if one.row]
    for row in begun[1:]:
        data, device = (begun[0].data_key, row.data_key), (device_of(home, begun[0]), device_of(home, row))
        for noun, (first, other) in (("data", data), ("devices", device)):
            if first != other:
                raise SearchConflictError(
                    f"{begun[0].name!r} and {row.name!r} were begun on other {noun} ({first} and {other}), so they "
                    "cannot share workers; resume them one by one"
                )


def _drive(
    sessions: Sequence[SearchSession],
    dataset: Dataset,
    generations: int | None,
    stack: ExitStack,
    signals: StopSignals,
) -> None:
    sessions = prepared(sessions, dataset)
    plans = [one.plan(dataset, generations) for one in sessions]
    for plan, one in zip(plans, sessions, strict=True):
        replay(plan, ())  # a space that holds nothing feasible is found before anything starts
        one.prepare_folder()
    _check_space(sessions, plans)
    if any(one.row for one in sessions):
        sessions[0].home.journal.check()  # before the first write: what is damaged is left as it is
    # before any worker starts: where that is refused, they start in vain
    sessions[0].home.journal.upgrade()
    held = {one.config.name: stack.enter_context(one.hold(generations)) for one in sessions if one.row}
    pool = _open_pool(sessions, plans, stack, signals, dataset)
    for one in sessions:
        if one.row is None:
            one.create(dataset, pool)
            held[one.config.name] = stack.enter_context(one.hold())
    home, watcher = sessions[0].home, sessions[0].options.watcher
    backup = sessions[0].keep_backups(stack, signals)
    logbooks = {
        one.config.name: JournalLogbook(
            home.journal,
            one.config.name,
            held[one.config.name],
            signals.reason,
            watcher.note,
            backup,
            artifact_store(home, one.config).within(one.config.name),
        )
        for one in sessions
    }
    workers = _workers(sessions)
    limits = TimeLimits(workers.stall_seconds, workers.hard_seconds)
    checkpointing = {one.config.name: one.checkpointing for one in sessions}
    world = Surroundings(
        pool,
        logbooks,
        sessions[0].options.providers.monotonic,
        signals.reason,
        watcher,
        limits,
        checkpointing,
    )
    members = [
        Member(
            plan,
            one.replayed(plan, logbooks[one.config.name], generations),
            held[one.config.name].term,
            home.precision_of(one.config.name),
        )
        for plan, one in zip(plans, sessions, strict=True)
    ]
    signals.defer()
    for member in members:
        watcher.begin(member.plan, member.state)
    drive(Fleet.of(*members), world)


def _check_space(sessions: Sequence[SearchSession], plans: Sequence[Plan]) -> None:
    """A search that cannot be written down to its end is not begun."""
    journal = sessions[0].home.journal.file
    ended = sum(row.counts["done"] + row.counts["failed"] for one in sessions if (row := one.row))
    folders = {one.folder for one in sessions} | ({journal.parent} if journal else set())
    checkpoints = 0
    if sessions[0].checkpointing.leaves_any:
        bounds = [one for one in (_workers(sessions).count, _most_workers(sessions)) if one is not None]
        slots = min(bounds, default=os.cpu_count() or 1)
        checkpoints = checkpoint_room((one for plan in plans for one in _first_memories(plan)), slots)
    check_space(sorted(folders), sum(plan.strategy.evaluations for plan in plans) - ended, checkpoints)


def _first_memories(plan: Plan) -> Iterator[Memory]:
    """What the first trainings take, as far as that is known."""
    for trial in plan.strategy.ask(plan.strategy.start()):
        size, settings = plan.network_size(trial), plan.settings(trial)
        if size is not None:
            yield training_memory(size, settings.batch_size, settings.optimizer)


def _first_peak(plans: Sequence[Plan]) -> int | None:
    """Bytes that the largest of the first trainings is expected to take; None where that is known of none."""
    return max((memory.total for plan in plans for memory in _first_memories(plan)), default=None)


def _workers(sessions: Sequence[SearchSession]) -> WorkerSettings:
    """The workers that they share. Time limits are of a search's candidates: what is listed has none but hanging."""
    first = next((one for one in sessions if one.row), sessions[0])
    workers = first.config.workers
    return workers if _are_searches(sessions) else replace(workers, soft_seconds=None, hard_seconds=None)


def _most_workers(sessions: Sequence[SearchSession]) -> int | None:
    """What is listed has no work for more workers than trainings are left; None: no bound is known."""
    return None if _are_searches(sessions) else max(1, sum(one.to_train for one in sessions))


def _are_searches(sessions: Sequence[SearchSession]) -> bool:
    """Whether all of them choose what to train next."""
    return all(one.config.strategy.has_time_limits for one in sessions)


def _open_pool(
    sessions: Sequence[SearchSession],
    plans: Sequence[Plan],
    stack: ExitStack,
    signals: StopSignals,
    dataset: Dataset,
) -> WorkerPool:
    """The pool that they share, started; the first of them that was begun before decides on what devices."""
    first = next((one for one in sessions if one.row), sessions[0])
    workers, training = _workers(sessions), first.config.training
    if begun := first.row or first.parent:  # what decided numerics when the search began is kept
        device = device_of(first.home, begun)
        if (workers.device, device) == ("auto", "cpu") and (trouble := driver_trouble()):
            first.options.watcher.note(f"{trouble}; {begun.name!r} began on the CPU, and goes on there")
        workers = replace(workers, device=device)
    reach = None
    if first.config.storage.artifacts is not None:
        mark = StoreProbe.leave(artifact_store(first.home, first.config), first.config.name)
        stack.callback(mark.remove)
        reach = mark.find_problem
    pool = first.options.providers.make_pool(
        first.executor,
        workers,
        training.threads,
        train_on,
        dataset.for_search(),
        reach,
        _most_workers(sessions),
        _first_peak(plans) if workers.per_gpu == "auto" else None,
    )
    stack.callback(pool.close)
    watcher = first.options.watcher
    if first.executor == "ray":
        watcher.wait("connecting to Ray")
    pool.start()
    watcher.wait(starting(0, pool.ordered))
    signals.reclaim()
    return pool
