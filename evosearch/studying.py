"""A study as a command: its steps one after the other, the searches of each side by side, then the final step of all.

Nothing here is a loop of its own: each step is a call of `drive_searches`. Killed anywhere, the same command finds what has
ended, and goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Unpack

from evosearch.beginning import note_all
from evosearch.blueprint import Problem
from evosearch.config import (
    Document,
    RunConfig,
    agreeing,
    check_new,
    config_from_json,
    config_to_json,
    derive_config,
    differing_keys,
    with_earlier_defaults,
)
from evosearch.driving import drive_searches
from evosearch.errors import (
    ConfigError,
    InvalidChromosomeError,
    SearchConflictError,
    TooManyFailuresError,
)
from evosearch.evaluation import Precision
from evosearch.listed import Measure, best_of, resolved, sized
from evosearch.providers import DriveOptions, Driving
from evosearch.reports import counted
from evosearch.retraining import prepare_retraining, publish_again, weights_are_elsewhere
from evosearch.search import FixedListSettings, ListedTrial, OverFeatures
from evosearch.session import SearchSession, bring_back_lost, configuration_of
from evosearch.storage import Home, SearchRow, group_of
from evosearch.studies import (
    EVOLVED,
    ORIGIN,
    AblationStudy,
    BaselinesStudy,
    BatchNormStudy,
    Common,
    DropoutStudy,
    MemberPlan,
    Step,
    StudySettings,
    dropout_arms,
    has_ended,
    is_over,
    is_text,
    once_arm,
    steps_of,
)
from evosearch.study import GIVEN, NORMALIZE, Study, arm_key, section_of

STAND_IN = ListedTrial("C8 |")
"""For the best of a search that is not looked up; what a study asks of any chromosome can be told of it."""


def run_study(
    config: RunConfig,
    home: Home,
    *,
    source: Document | None = None,
    **how: Unpack[Driving],
) -> Study:
    """Run a study, or go on with it, to its end: its searches, then the final step of each.

    Args:
        config: the study; its section `study` says which.
        home: where its journal lies.
        source: what `config` was read from, as in `evosearch.api.run`.
        how: as in `evosearch.api.run`.

    Returns: the study, of which every training has ended; some may have failed, which its table says.

    Raises:
        ConfigError: the file is no study's, or its keys do not go together.
        SearchConflictError: the name belongs to another study, to a search or to a group; a network is of a search that is not
            there or unfinished.
        EvosearchError: as `evosearch.api.run`.
    """
    options = DriveOptions.of(**how)
    note_all(source, options)
    bring_back_lost(config, home, options)
    return _driven(begun_study(config, home, source), options)


def batchnorm_of(
    name: str, home: Home, overrides: Sequence[str] = (), called: str | None = None
) -> tuple[RunConfig, Document]:
    """The batch-norm study of the best of the finished search `name`: its configuration with the section `study`.

    Args:
        name: the search.
        home: where its journal lies.
        overrides: as in `evosearch.config.read_config`.
        called: the study's name. None: `NAME-batchnorm`.

    Returns: the configuration, and what was given of it.

    Raises:
        SearchConflictError: there is no such search.
        ConfigError: an override is wrong.
    """
    if members := home.members_of(name):
        kind = "study" if is_study(name, home) else "group"
        raise SearchConflictError(
            f"{name!r} is a {kind} of {counted(len(members), 'member')}; name one, for instance "
            f"`evosearch batchnorm {members[0].name}`"
        )
    found = configuration_of(row := home.find_search(name))
    training = found.training.at(row.precision)  # what its best was found with
    values = config_to_json(replace(found, study=None, training=training))
    study = {"kind": "batchnorm", "network": name}
    values |= {"name": called or f"{name.replace('/', '-')}-batchnorm", "study": study}
    return derive_config(values, f"the configuration of {name!r}", overrides)


def resume_study(name: str, home: Home, **how: Unpack[Driving]) -> Study:
    """Go on with the study `name` as it was begun.

    Raises:
        SearchConflictError: there is none.
        EvosearchError: as `run_study`.
    """
    options = DriveOptions.of(**how)
    for row in home.members_of(name)[:1]:
        bring_back_lost(configuration_of(row), home, options)
    return _driven(open_study(name, home), options)


def is_study(name: str, home: Home) -> bool:
    """Whether `name` is a study's: a group whose members say so."""
    return any(row.configuration.get("study") for row in home.members_of(name))


def open_study(name: str, home: Home) -> Study:
    """The study `name` as its members' journals have it.

    Raises:
        SearchConflictError: there is none.
    """
    if not (members := home.members_of(name)):
        home.find_search(name)  # says what there is
    if (journaled := _as_begun(members)) is None:
        raise SearchConflictError(f"{name!r} is no study")
    return _study(home, journaled)


def begun_study(config: RunConfig, home: Home, source: Document | None = None) -> Study:
    """The study `config.name`, new or as it was begun; see `run_study`."""
    if home.journal.find(config.name) is not None:
        raise SearchConflictError(f"{config.name!r} is a single search; take another --name for the study")
    members = home.members_of(config.name)
    if not members:
        check_new(config, source)
        return _study(home, config, source)
    if (journaled := _as_begun(members)) is None:
        raise SearchConflictError(
            f"{config.name!r} is a group of {counted(len(members), 'search')}; take another --name for the study"
        )
    known = next((row.precision for row in members if row.precision is not None), None)
    return _study(home, _merged(config, journaled, source, known))


def _as_begun(members: Sequence[SearchRow]) -> RunConfig | None:
    """The study's configuration, from its members: those of an extension have more seeds or arms than those before; None: they
    are no study's.
    """
    told = [row for row in members if row.configuration.get("study")]
    # what may change since is not journaled with those that found nothing
    found = [_study_of(row) for row in sorted(told, key=lambda row: row.state == "failed")]
    return max(found, key=lambda one: sum(map(len, _lists(section_of(one)).values())), default=None)


def _lists(study: StudySettings) -> Mapping[str, tuple[object, ...]]:
    """What a study may be extended in, by key."""
    match study:
        case BaselinesStudy():
            return {"seeds": study.seeds, "networks": study.networks}
        case AblationStudy():
            return {"seeds": study.seeds, "arms": study.arms}
        case BatchNormStudy():
            return {"seeds": study.seeds, "optimizers": study.optimizers}
        case DropoutStudy():
            return {"seeds": study.seeds, "networks": study.networks, "arms": study.arms}


def _study_of(row: SearchRow) -> RunConfig:
    """The study's configuration, from a member's."""
    member = configuration_of(row)
    study = section_of(member)
    base = {key: value for key, value in (study.base or {}).items() if key != GIVEN}
    whole = {**config_to_json(member), **base, "name": group_of(row.name)}
    return replace(config_from_json(whole), study=replace(study, base=None))


def _merged(
    config: RunConfig, journaled: RunConfig, source: Document | None, precision: Precision | None
) -> RunConfig:
    """The journaled study, with what may change taken from `config`; more seeds and more arms extend it. `precision`: what `auto`
    means for it, as far as that is known.
    """
    config = with_earlier_defaults(config, journaled, source.places if source else None)
    config = agreeing(config, journaled, precision)
    different = [*differing_keys(config, journaled), *_differing(section_of(config), section_of(journaled))]
    if different:
        raise SearchConflictError(
            f"{config.name!r} is a study of another configuration: {'; '.join(different)}; take these values, or another --name"
        )
    return replace(
        journaled,
        data=config.data,
        workers=config.workers,
        storage=config.storage,
        final=config.final,
        study=config.study,
    )


def _differing(here: StudySettings, journal: StudySettings) -> list[str]:
    if here.kind != journal.kind:
        return [f"study.kind: {here.kind} here, {journal.kind} in the journal"]
    mine, theirs, lists = asdict(here), asdict(journal), _lists(journal)
    longer = {key for key, known in _lists(here).items() if all(one in known for one in lists[key])}
    return [
        f"study.{key}: {_shown(value)} here, {_shown(theirs[key])} in the journal"
        for key, value in mine.items()
        if value != theirs[key] and key not in longer
    ]


def _shown(value: Any) -> str:
    text = str(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def check_study(
    config: RunConfig, home: Home | None, source: Document | None, problem: Problem, measure: Measure
) -> tuple[str, ...]:
    """See that the networks of a study are what it could begin with, as `run_study` does: that they are there, and that the weights fit
    that they start from. Arms that have begun keep what they have.

    Args:
        config: the study.
        home: where searches are looked up that it names; None: nowhere.
        source: what `config` was read from.
        problem: what its networks are for.
        measure: as `workers.measure_sizes`.

    Returns: the searches that were not looked up.

    Raises:
        EvosearchError: as `run_study`.
    """
    settings = section_of(config)
    begun = _networks_begun(home.members_of(config.name)) if home else {}
    unknown = {} if home else _searches_named(settings)
    unknown_arms = {*unknown, *map(once_arm, unknown)}
    steps = _steps(config, home, begun, source)
    if isinstance(settings, DropoutStudy) or (unknown and isinstance(settings, BatchNormStudy)):
        return tuple(unknown.values())  # no arm's network is known, or none starts from weights
    normalized = source is not None and NORMALIZE in source.places
    trials: list[ListedTrial] = []
    for name, arm in {one.arm.name: one.arm for one in steps[0].members({})}.items():
        if name not in begun and name not in unknown_arms:
            key = arm_key(settings, name, arm.strategy, source)
            own = replace(config, strategy=arm.strategy, training=arm.training)
            strategy = resolved(own, home, None, None, key=key, normalized=normalized).strategy
            trials += strategy.trials if isinstance(strategy, FixedListSettings) else ()
    if trials:
        sized(FixedListSettings(trials=tuple(trials)), problem, measure)
    return tuple(unknown.values())


def _searches_named(study: StudySettings) -> dict[str, str]:
    """The searches that a study names for their best, by the arm of each, or by themselves."""
    match study:
        case BaselinesStudy(entries=entries):
            named = {one.name or one.network: one.network for one in entries if one.network != EVOLVED}
        case BatchNormStudy(network=network):
            named = {network: network} if network else {}
        case DropoutStudy(networks=networks):
            named = {one: one for one in networks}
        case AblationStudy():
            named = {}
    return {arm: network for arm, network in named.items() if not is_text(network)}


def _study(home: Home, config: RunConfig, source: Document | None = None) -> Study:
    members = home.members_of(config.name)
    settings = section_of(config)
    own = isinstance(settings, DropoutStudy) or (
        isinstance(settings, BaselinesStudy) and settings.given == "seconds"
    )
    lists = {} if own else _lists_begun(members)  # then each seed has rates of its own
    normalized = (source is not None and NORMALIZE in source.places) or any(map(_says_normalize, members))
    return Study(
        home, config, _steps(config, home, _networks_begun(members), source), lists, normalized, source
    )


def _steps(
    config: RunConfig, home: Home | None, begun: Mapping[str, ListedTrial], source: Document | None
) -> tuple[Step, ...]:
    common = Common(config.strategy, config.space, config.training)
    try:
        return steps_of(section_of(config), common, _starts(config, home, begun))
    except (ConfigError, InvalidChromosomeError, SearchConflictError) as error:
        place = f"{source.place(('study',))}: " if source else ""
        raise type(error)(f"{place}{error}") from None


def _says_normalize(row: SearchRow) -> bool:
    """Whether the file of the study that a member is of said how images are normalised."""
    study = configuration_of(row).study
    given = (study.base or {}).get(GIVEN, ()) if study else ()
    return ".".join(NORMALIZE) in given


def _starts(config: RunConfig, home: Home | None, begun: Mapping[str, ListedTrial]) -> dict[str, ListedTrial]:
    """Of each arm of networks that the study names, what it trains: what a member was begun with, since a search whose best that is
    may have been extended; else the network, or the best of the search; without a home `STAND_IN` for that.
    """
    match study := section_of(config):
        case BaselinesStudy():
            named = [(one.name or one.network, one.network) for one in study.entries]
            return {
                arm: _start(network, (arm, once_arm(arm)), "study.networks", home, begun)
                for arm, network in named
                if network != EVOLVED
            }
        case BatchNormStudy(network=None):
            raise ConfigError(
                "study.network is missing; give a chromosome, `C8 B16 P | F32`, or the name of a finished search"
            )
        case BatchNormStudy(network=str(network), optimizers=optimizers):
            arms = [f"{ORIGIN}{ending}-{one}" for ending in ("-pretrained", "") for one in optimizers]
            return {ORIGIN: _start(network, arms, "study.network", home, begun)}
        case DropoutStudy(networks=networks):
            return {one: _start(one, dropout_arms(one), "study.networks", home, begun) for one in networks}
        case _:
            return {}


def _start(
    network: str, arms: Sequence[str], key: str, home: Home | None, begun: Mapping[str, ListedTrial]
) -> ListedTrial:
    """What the first of `arms` that has begun trains; where none has, what `network` says, which `key` gives."""
    for arm in arms:
        if arm in begun:
            return begun[arm]
    if is_text(network):
        return ListedTrial(network)
    if home is None:
        return STAND_IN
    if home.journal.find(network) is None:
        members = "".join(f"; {one.name} is a member of that group" for one in home.members_of(network)[:1])
        raise ConfigError(
            f"{key} has the network {network!r}, which is no hand-made one, no chromosome, and no search in "
            f"{home.journal.place}{members}"
        )
    text, weights = best_of(network, home, key)
    return ListedTrial(text, weights=weights)


def _networks_begun(members: Sequence[SearchRow]) -> dict[str, ListedTrial]:
    """The network that the first member of each arm of one network trains, by the arm's name."""
    found: dict[str, ListedTrial] = {}
    for row in members:
        match configuration_of(row).strategy:
            case FixedListSettings(trials=(first, *_)):
                found.setdefault(_arm_of(row), ListedTrial(first.network, weights=first.weights))
            case OverFeatures(network=network):
                found.setdefault(_arm_of(row), ListedTrial(network))
            case _:
                pass
    return found


def _arm_of(member: SearchRow) -> str:
    return member.name.partition("/")[2].rpartition("-seed-")[0]


def _lists_begun(members: Sequence[SearchRow]) -> dict[str, SearchRow]:
    """The first member of each arm that is a list, by the arm's name."""
    found: dict[str, SearchRow] = {}
    for row in members:
        if isinstance(configuration_of(row).strategy, FixedListSettings):
            found.setdefault(_arm_of(row), row)
    return found


# Driving.


def _driven(study: Study, options: DriveOptions) -> Study:
    done: list[MemberPlan] = []
    for step in study.steps:
        members = step.members(study.ended(done))
        _drive(
            [study.session(one, options) for one in members],
            options,
            f"{study.config.name}: {step.name}, {counted(len(members), 'search')}",
        )
        done += members
    _retrain(study, done, options)
    study.keep_doubts(options)
    study.publish(options)
    return study


def _drive(sessions: Sequence[SearchSession], options: DriveOptions, what: str) -> None:
    """Drive what is left of some searches: lists apart from others where these have time limits, which hold for all. One that
    stops since nothing in it succeeds is an arm that failed, and no reason to keep the others waiting.

    Raises:
        TooManyFailuresError: one stopped that has found something; the same command goes on with it.
    """
    sessions = [one for one in sessions if one.row is None or not is_over(one.row)]
    left = [one for one in sessions if not one.is_done(None)]
    if not left and not any(_changed(one) for one in sessions):
        return
    if left:
        options.watcher.note(what)
    workers = sessions[0].config.workers
    limited = workers.soft_seconds is not None or workers.hard_seconds is not None
    kinds = (True, False) if limited else (None,)
    for kind in kinds:
        if some := [one for one in sessions if kind in (None, one.config.strategy.has_time_limits)]:
            try:
                drive_searches(some)
            except TooManyFailuresError as error:
                if not all(has_ended(one.home.journal.find(one.config.name)) for one in some):
                    raise
                options.watcher.note(str(error))


def _changed(session: SearchSession) -> bool:
    """Whether something that may change is to be journaled."""
    if session.row is None:
        return True
    journaled = config_to_json(config_from_json(session.row.configuration))
    return config_to_json(session.config) != journaled


def _retrain(study: Study, members: Sequence[MemberPlan], options: DriveOptions) -> None:
    """The final step of every member that found something, side by side."""
    names = [study.name(one) for one in members if one.arm.is_row]
    rows = map(study.home.find_search, names)
    found = [
        row.name for row in rows if row.state == "done" and study.home.journal.best(row.name) is not None
    ]
    seeds, epochs = range(1, 1 + study.final_seeds), study.config.final.epochs
    prepared = [prepare_retraining(name, study.home, epochs, seeds, options) for name in found]
    if sessions := [one.session for one in prepared if one.session is not None]:
        _drive(
            sessions,
            options,
            f"{study.config.name}: final training, {counted(len(sessions), 'network')} for {counted(epochs, 'epoch')} each",
        )
    read_before = [one for one in prepared if one.session is None]
    if lost := [one.name for one in read_before if not publish_again(study.home, one, options)]:
        options.watcher.note(weights_are_elsewhere(lost))
