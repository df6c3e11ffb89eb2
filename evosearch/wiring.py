"""Where everything meets: a configuration, a journal, data and workers become a running search.

This is the Python API too: `run`, `resume` and `retrain` are what the commands of the same names call. Each blocks
until its work is done and raises an `EvosearchError` where it cannot be. Nothing here decides how a search goes;
read `evosearch.runtime` for that.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from evosearch.config import (
    Document,
    RunConfig,
    check_new,
    config_from_json,
    differing_keys,
    objections,
    with_earlier_defaults,
)
from evosearch.data import DataReport, inspect_data, load_dataset
from evosearch.errors import SearchConflictError
from evosearch.reports import Cost, counted, estimate_cost
from evosearch.runtime import (
    Silence,
    Watcher,
)
from evosearch.search import EavlSettings
from evosearch.storage import (
    Home,
    SearchRow,
    TestReading,
    bring_back,
    group_of,
)
from evosearch.undertaking import (
    Executor,
    Finished,
    Manner,
    Undertaking,
    artifact_folder,
    artifact_place,
    artifact_store,
    make_plan,
    search,
)

__all__ = [
    "Executor",
    "Finished",
    "artifact_folder",
    "artifact_place",
    "artifact_store",
    "data_report",
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
    executor: Executor | None = None,
    address: str | None = None,
    watcher: Watcher | None = None,
    takeover: bool = False,
    source: Document | None = None,
) -> Finished:
    """Start the search `config.name`; go on with it where it is unfinished; return it where it is done.

    Args:
        config: the search.
        home: where its journal lies.
        executor: None: as last time, at first ray.
        address: of a Ray cluster; None: `workers.address`, else RAY_ADDRESS, else a private one.
        watcher: is told how it goes.
        takeover: take the search from a driver that is alive; its next commit fails.
        source: what `config` was read from; a search that was begun keeps its values of keys that are not given there
            and whose defaults have changed since. None: all keys are given.

    Raises:
        SearchConflictError: the name belongs to a search of another configuration or of other data, or to a group.
        EvosearchError: as `evosearch.runtime.drive`.
    """
    manner = Manner(executor, address, takeover, watcher or Silence())
    _bring_back(config, home, manner)
    if members := home.members_of(config.name):
        raise SearchConflictError(
            f"{config.name!r} is a group of {counted(len(members), 'search')}; "
            f"give the seeds it has with --seeds, or take another --name"
        )
    return search([_begun(config, home, manner, source)])[0]


def run_group(
    config: RunConfig,
    seeds: Sequence[int],
    home: Home,
    *,
    executor: Executor | None = None,
    address: str | None = None,
    watcher: Watcher | None = None,
    takeover: bool = False,
    source: Document | None = None,
) -> tuple[Finished, ...]:
    """Run a search of `config` for each seed, side by side on the same workers, as `run` would run each.

    Returns: the searches `NAME/seed-N`, in the order of `seeds`. Each is what it would have been alone.
    """
    manner = Manner(executor, address, takeover, watcher or Silence())
    _bring_back(config, home, manner)
    if home.journal.find(config.name) is not None:
        raise SearchConflictError(
            f"{config.name!r} is a single search, run without --seeds; take another --name for the group"
        )
    members = [replace(config, name=f"{config.name}/seed-{seed}", seed=seed) for seed in seeds]
    sources = [source and source.with_value(("seed",), seed, "--seeds") for seed in seeds]
    return search([_begun(one, home, manner, its) for one, its in zip(members, sources, strict=True)])


def resume_group(
    name: str,
    home: Home,
    *,
    generations: int | None = None,
    executor: Executor | None = None,
    address: str | None = None,
    watcher: Watcher | None = None,
    takeover: bool = False,
) -> tuple[Finished, ...]:
    """Go on with every search of the group `name`, side by side, as `resume` would with each."""
    manner = Manner(executor, address, takeover, watcher or Silence())
    for row in home.members_of(name)[:1]:  # brings all of them back
        _bring_back(config_from_json(row.configuration), home, manner)
    members = [_resumed(member, home, generations, manner) for member in home.members_of(name)]
    if not members:
        home.find_search(name)  # neither a group nor a search: says what there is
    return search(members, generations)


def resume(
    name: str,
    home: Home,
    *,
    generations: int | None = None,
    executor: Executor | None = None,
    address: str | None = None,
    watcher: Watcher | None = None,
    takeover: bool = False,
) -> Finished:
    """Go on with the search `name`, to `generations` generations in all where given; otherwise as `run`.

    Raises:
        SearchConflictError: there is no such search, or `generations` lies below its present total.
    """
    manner = Manner(executor, address, takeover, watcher or Silence())
    _bring_back(config_from_json(home.find_search(name).configuration), home, manner)
    return search([_resumed(home.find_search(name), home, generations, manner)], generations)[0]


def _bring_back(config: RunConfig, home: Home, manner: "Manner") -> None:
    """Where the journal is lost or behind, what the artifact store has of the search, or of its group, comes first."""
    store, takeover = artifact_store(home, config), manner.takeover
    for line in bring_back(home, store, group_of(config.name), manner.onlooker, takeover=takeover):
        manner.watcher.note(line)


def _begun(config: RunConfig, home: Home, manner: "Manner", source: Document | None) -> "Undertaking":
    row = home.journal.find(config.name)
    if row is None:
        check_new(config, source)
    else:
        config = _merged(config, row, source)
        _note_objections(config, manner)
    return Undertaking(home, _at(config, manner.address), row, manner)


def _resumed(row: SearchRow, home: Home, generations: int | None, manner: "Manner") -> "Undertaking":
    name, config = row.name, config_from_json(row.configuration)
    _note_objections(config, manner)
    if generations is not None:
        if not isinstance(config.strategy, EavlSettings):
            raise SearchConflictError(
                f"{name!r} is a random search, all one generation; leave --generations out"
            )
        if generations < row.generations:
            raise SearchConflictError(
                f"--generations is {generations}, below the {row.generations} of {name!r}; give the new total"
            )
    return Undertaking(home, _at(config, manner.address), row, manner)


def _note_objections(config: RunConfig, manner: "Manner") -> None:
    """What is refused to new searches was allowed when this one began."""
    for line in objections(config):
        manner.watcher.note(f"{line}; {config.name!r} began before that was refused, and goes on")


def retrain(
    name: str, home: Home, *, epochs: int | None = None, watcher: Watcher | None = None
) -> TestReading:
    """Train the best of the finished search `name` anew and read the test split once, on workers as last time.

    `epochs`: None: `final.epochs`. The same retraining again returns the recorded reading and trains nothing.

    Raises:
        SearchConflictError: there is no such search, it is unfinished, or nothing in it ever succeeded.
    """
    manner = Manner(None, None, False, watcher or Silence())
    _bring_back(config_from_json(home.find_search(name).configuration), home, manner)
    row = home.find_search(name)
    return Undertaking(home, config_from_json(row.configuration), row, manner).retrain(epochs)


def data_report(config: RunConfig) -> DataReport:
    """What the configuration's data are, bad files included."""
    return inspect_data(config.data, env=os.environ, cwd=Path.cwd(), cache=None)


def validate(config: RunConfig, source: Document | None = None) -> Cost:
    """Check all of `config` that can be checked without training, and estimate what the search costs. `source`: what
    it was read from.

    Raises:
        InputError: the configuration, its data or its space is wrong.
    """
    config.storage.check()
    check_new(config, source)
    dataset = load_dataset(config.data, env=os.environ, cwd=Path.cwd(), cache=None)
    plan = make_plan(config, dataset)
    first = [plan.blueprint(member) for member in plan.strategy.start().members]
    return estimate_cost(first, plan.strategy.evaluations, len(dataset.train), config.training)


def _at(config: RunConfig, address: str | None) -> RunConfig:
    """`config` on the Ray cluster at `address`, where one is given; it is journaled, so a resume goes there too."""
    if address is None:
        return config
    return replace(config, workers=replace(config.workers, address=address))


def _merged(config: RunConfig, row: SearchRow, source: Document | None) -> RunConfig:
    """The journaled configuration, with what may change taken from `config`."""
    journaled = config_from_json(row.configuration)
    config = with_earlier_defaults(config, journaled, source.places if source else None)
    compared = journaled
    ours, theirs = config.strategy, journaled.strategy
    if isinstance(ours, EavlSettings) and isinstance(theirs, EavlSettings):
        # Fewer generations than an extension made them is not another search (DESIGN, the command line).
        extended = theirs.generations < row.generations
        total = ours.generations if extended and ours.generations <= row.generations else row.generations
        compared = replace(journaled, strategy=replace(theirs, generations=total))
    if different := differing_keys(config, compared):
        raise SearchConflictError(
            f"{config.name!r} is a search of another configuration: {'; '.join(different)}; take these values, "
            "or another --name (`evosearch resume NAME --generations N` extends a search)"
        )
    return replace(
        journaled, data=config.data, workers=config.workers, storage=config.storage, final=config.final
    )
