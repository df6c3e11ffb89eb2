"""Where everything meets: a configuration, a journal, data and workers become a running search.

This is the Python API too: `run`, `resume` and `retrain` are what the commands of the same names call. Each blocks
until its work is done and raises an `EvosearchError` where it cannot be. Nothing here decides how a search goes;
read `evosearch.runtime` for that.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Unpack

from evosearch.beginning import begun, check_no_study, note_all, parent_of, resumed
from evosearch.checking import data_report, validate
from evosearch.config import (
    Document,
    RunConfig,
)
from evosearch.driving import drive_searches
from evosearch.errors import SearchConflictError
from evosearch.providers import DriveOptions, Driving, Executor, Providers
from evosearch.reports import counted
from evosearch.retraining import check_trained, retrain
from evosearch.runtime import bred_again
from evosearch.session import (
    Finished,
    SearchSession,
    artifact_folder,
    artifact_place,
    artifact_store,
    bring_back_lost,
    configuration_of,
    make_plan,
)
from evosearch.storage import (
    EvaluationRow,
    Home,
    operations_to_json,
)
from evosearch.studying import resume_study, run_study

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
    "resume_study",
    "retrain",
    "run",
    "run_group",
    "run_study",
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
        SearchConflictError: the name belongs to a search of another configuration or of other data, or to a group; or what
            would be its group is a search.
        EvosearchError: as `evosearch.runtime.drive`.
    """
    check_no_study(config, source)
    options = DriveOptions.of(**how)
    note_all(source, options)
    bring_back_lost(config, home, options)
    if members := home.members_of(config.name):
        raise SearchConflictError(
            f"{config.name!r} is a group of {counted(len(members), 'search')}; "
            f"give the seeds it has with --seeds, or take another --name"
        )
    return drive_searches([begun(config, home, options, source)])[0]


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
    check_no_study(config, source)
    options = DriveOptions.of(**how)
    note_all(source, options)
    bring_back_lost(config, home, options)
    if home.journal.find(config.name) is not None:
        raise SearchConflictError(
            f"{config.name!r} is a single search, run without --seeds; take another --name for the group"
        )
    members = [replace(config, name=f"{config.name}/seed-{seed}", seed=seed) for seed in seeds]
    sources = [source and source.with_value(("seed",), seed, "--seeds") for seed in seeds]
    return drive_searches([begun(one, home, options, its) for one, its in zip(members, sources, strict=True)])


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
        bring_back_lost(configuration_of(row), home, options)
    members = [resumed(member, home, generations, options) for member in home.members_of(name)]
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
    bring_back_lost(configuration_of(home.find_search(name)), home, options)
    return drive_searches([resumed(home.find_search(name), home, generations, options)], generations)[0]


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
    session = SearchSession(home, configuration_of(row), row, DriveOptions(), parent_of(home, row))
    dataset = session.load(begun=True)
    session.check_data(dataset)
    events = (recorded.event for recorded in home.journal.replay(name))
    operations = bred_again(session.plan(dataset, None), events)
    told = {number: tuple(operations_to_json(found)) for number, found in operations.items()}
    return tuple(replace(one, operations=told.get(one.candidate, one.operations)) for one in rows)
