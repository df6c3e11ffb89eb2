"""A search as a command finds it: begun now, or gone on with, by the rules of what may change."""

from dataclasses import replace

from evosearch.config import (
    Document,
    RunConfig,
    agreeing,
    check_new,
    differing_keys,
    objections,
    with_earlier_defaults,
)
from evosearch.errors import ConfigError, SearchConflictError
from evosearch.listed import TRIALS, resolved
from evosearch.providers import DriveOptions
from evosearch.search import FixedListSettings
from evosearch.session import SearchSession, at_address, configuration_of
from evosearch.storage import Home, SearchRow, group_of


def note_all(source: Document | None, options: DriveOptions) -> None:
    """Say what of a file was passed over."""
    for line in source.notes if source else ():
        options.watcher.note(line)


def check_no_study(config: RunConfig, source: Document | None) -> None:
    """See that a file is of one search, or of one for each seed.

    Raises:
        ConfigError: it is a study's.
    """
    if config.study is not None:
        kind = config.study.kind
        place = f"{source.place(('study',))}: " if source else ""
        raise ConfigError(
            f"{place}study.kind is {kind}: the file is a study's, which `evosearch {kind} FILE` runs; leave the section study out "
            "for one search"
        )


def begun(
    config: RunConfig,
    home: Home,
    options: DriveOptions,
    source: Document | None,
    *,
    key: str = TRIALS,
    normalized: bool = False,
) -> SearchSession:
    """The search `config.name`, new or as it was left. `source`: see `evosearch.api.run`; `key` and `normalized`: see
    `evosearch.listed.resolved`.

    Raises:
        ConfigError: no new search may be begun so.
        SearchConflictError: it was begun with another configuration, or its name is taken.
    """
    row = home.journal.find(config.name)
    if row is not None:
        config = agreeing(config, configuration_of(row), row.precision)
    config = resolved(config, home, row, source, key=key, normalized=normalized)
    if row is None:
        check_new(config, source)
        if (above := group_of(config.name)) != config.name and home.journal.find(above):
            raise SearchConflictError(
                f"{config.name!r} would be kept in the folder of the search {above!r}; take another --name"
            )
        config = _computing_as_its_group(config, home)
    else:
        config = _merged(config, row, source)
        _note_objections(config, options)
    return SearchSession(home, at_address(config, options.address), row, options, parent_of(home, row))


def _computing_as_its_group(config: RunConfig, home: Home) -> RunConfig:
    """A search that says auto does as those of its group that were begun before."""
    training = config.training
    for member in home.members_of(group_of(config.name))[:1] if training.precision == "auto" else ():
        training = replace(training, precision=configuration_of(member).training.precision)
    return replace(config, training=training)


def resumed(row: SearchRow, home: Home, generations: int | None, options: DriveOptions) -> SearchSession:
    """The search of `row` as it was left, to `generations` in all where given.

    Raises:
        SearchConflictError: it cannot have so many, or has more.
    """
    name, config = row.name, configuration_of(row)
    if row.parent is None:  # a retraining follows its search
        _note_objections(config, options)
    if generations is not None:
        if config.study is not None:
            raise SearchConflictError(
                f"--generations {generations}: {name!r} is of the study {group_of(name)!r}, whose searches have equal budgets; "
                "leave it out"
            )
        config.strategy.with_generations(generations)  # says where it cannot be
        if generations < row.generations:
            raise SearchConflictError(
                f"--generations is {generations}, below the {row.generations} of {name!r}; give the new total"
            )
    return SearchSession(home, at_address(config, options.address), row, options, parent_of(home, row))


def _note_objections(config: RunConfig, options: DriveOptions) -> None:
    """What is refused to new searches was allowed when this one began."""
    for line in objections(config):
        options.watcher.note(f"{line}; {config.name!r} began before that was refused, and goes on")


def parent_of(home: Home, row: SearchRow | None) -> SearchRow | None:
    """The search whose best a retraining trains again; None: it is none."""
    return None if row is None or row.parent is None else home.find_search(row.parent)


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
        journaled = compared = replace(journaled, strategy=replace(theirs, trials=ours.trials))
    if different := differing_keys(config, compared):
        raise SearchConflictError(
            f"{config.name!r} is a search of another configuration: {'; '.join(different)}; take these values, "
            "or another --name (`evosearch resume NAME --generations N` extends a search)"
        )
    return replace(
        journaled, data=config.data, workers=config.workers, storage=config.storage, final=config.final
    )
