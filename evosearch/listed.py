"""What a list of trainings needs before it is begun: networks named by other searches, files of weights, and sizes."""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors import SafetensorError, safe_open

from evosearch.blueprint import NetworkSize, Problem
from evosearch.config import Document, RunConfig
from evosearch.data import Dataset
from evosearch.errors import ConfigError, InputError, InvalidChromosomeError, SearchConflictError
from evosearch.evaluation import TrainingSettings
from evosearch.genome import Network, is_hand_made, parse_network, starting_from, weights_of
from evosearch.runtime import start_file
from evosearch.search import FixedListSettings, ListedTrial, StrategySettings, features_of
from evosearch.session import STARTS, SearchSession, artifact_store, configuration_of
from evosearch.storage import ArtifactStore, Home, SearchRow, check_name, user_path
from workers import Unmeasured

TRIALS = "strategy.trials"
"""The key under which a list names its networks; what errors begin with."""


def listed_trial(text: str) -> ListedTrial:
    """The training of what `text` names: a network, or the best of the finished search of that name.

    Raises:
        ConfigError: it is neither a network nor the name of any search.

    >>> listed_trial("resnet18").network, listed_trial("covid/seed-3").best_of
    ('resnet18', 'covid/seed-3')
    """
    try:
        parse_network(text)
    except InvalidChromosomeError as error:
        try:
            return ListedTrial(best_of=check_name(text))
        except InputError:
            raise ConfigError(f"{error}; nor is it the name of a search") from None
    return ListedTrial(text)


def resolved(
    config: RunConfig,
    home: Home | None,
    row: SearchRow | None,
    source: Document | None,
    *,
    key: str = TRIALS,
    normalized: bool = False,
) -> RunConfig:
    """`config` with every network of its list known by its text: looked up where another search's best is meant, and with the
    sha256 of the weights that it starts from. What the journal has of this list before, `row`, holds.

    `home`: where other searches are looked up; None: nowhere. `source`: what `config` was read from. Where nothing says otherwise, hand-made networks with given weights are trained on
    images normalised as ImageNet's. `key`: what errors begin with, the key that names these networks. `normalized`: somebody has
    said how images are normalised, wherever that stands.

    Raises:
        ConfigError: there is no such file, or it is no safetensors file.
        SearchConflictError: there is no such search, it is unfinished, it has no network that is best, or there is no home.
    """
    strategy = config.strategy
    if not isinstance(strategy, FixedListSettings):
        return config
    before = configuration_of(row).strategy if row else None
    known = before.trials if isinstance(before, FixedListSettings) else ()
    trials = []
    for place, one in enumerate(strategy.trials):
        journaled = known[place] if place < len(known) else None
        found, training = _known_by_text(one, journaled, home, key), one.settings or config.training
        if journaled is not None and found.weights and located(found.weights) is None:
            found = replace(
                found, settings=one.settings or journaled.settings
            )  # as the file said when it was there
        elif not (normalized or _says_normalize(source, place)):
            other = imagenet_for(found, training)
            found = found if other == training else replace(found, settings=other)
        trials.append(journaled if journaled == found else found)
    return replace(config, strategy=replace(strategy, trials=tuple(trials)))


def _known_by_text(
    one: ListedTrial, journaled: ListedTrial | None, home: Home | None, key: str
) -> ListedTrial:
    text, hint = one.network, one.weights
    if one.best_of is not None:
        if journaled is not None and journaled.best_of == one.best_of:
            text, hint = journaled.network, hint or journaled.weights
        elif home is None:
            raise SearchConflictError(
                f"{key}: the best of {one.best_of!r} is looked up when the list is run, and not before; leave it "
                "out to check the others"
            )
        else:
            text, own = best_of(one.best_of, home, key)
            hint = hint or own
    network = parse_network(text)
    if one.weights is not None and not (_is_address(one.weights) and weights_of(network)):
        network = starting_from(network, _digest(one.weights, journaled, key))
    return replace(one, network=str(network), weights=hint, size=None)


def best_of(name: str, home: Home, key: str = TRIALS) -> tuple[str, str | None]:
    """The text of the network that is best in the finished search `name`, and where its given weights are, if it has any. `key`:
    what errors begin with, the key that names the search.

    Raises:
        SearchConflictError: there is no such search, it is unfinished, or nothing in it ever succeeded.
    """
    row, best = home.find_search(name), home.journal.best(name)
    if row.state != "done":
        raise SearchConflictError(f"{key}: {name!r} is unfinished; `evosearch resume {name}` comes first")
    if features_of(configuration_of(row).strategy) is not None:
        raise SearchConflictError(
            f"{key}: {name!r} looks for a rate of dropout and has no network of its own; name another search"
        )
    if best is None:
        raise SearchConflictError(
            f"{key}: no evaluation of {name!r} succeeded, so it has no best network; name another search"
        )
    digest = weights_of(parse_network(best.chromosome))
    return best.chromosome, None if digest is None else _kept_at(row, home, digest)


def _kept_at(row: SearchRow, home: Home, digest: str) -> str:
    """Where a search keeps the weights with this sha256, which one of its networks starts from."""
    store = artifact_store(home, configuration_of(row)).within(row.name)
    return f"{store.url}/{STARTS}/{start_file(digest)}"


def begun_with(row: SearchRow, home: Home) -> FixedListSettings | None:
    """What the list `row` trains, for another search to begin with the same: the texts and settings that it began with, and weights
    from where they were, or from where it keeps them if these are there no more. None: it is no list.
    """
    strategy = configuration_of(row).strategy
    if not isinstance(strategy, FixedListSettings):
        return None
    trials = []
    for one in strategy.trials:
        digest = weights_of(parse_network(one.network))
        file = located(one.weights) if one.weights else None
        gone = digest is not None and (file is None or digest_of(file) != digest)
        trials.append(
            replace(
                one, best_of=None, weights=_kept_at(row, home, digest) if gone and digest else one.weights
            )
        )
    return replace(strategy, trials=tuple(trials))


def _is_address(weights: str) -> bool:
    """Whether it is a place in a store, where a search keeps weights whose sha256 is in the network's text."""
    return "://" in weights


def _digest(path: str, journaled: ListedTrial | None, place: str) -> str:
    file = located(path)
    if file is not None:
        try:
            return digest_of(file)
        except ConfigError as error:
            raise ConfigError(f"{place}: {error}") from None
    known = weights_of(parse_network(journaled.network)) if journaled else None
    if journaled is not None and journaled.weights == path and known is not None:
        return known  # kept with the search since
    raise ConfigError(
        f"{place}: there is no file of weights {path!r}; a relative path is looked for in the working directory, "
        "then under $EVOSEARCH_DATA"
    )


def located(path: str) -> Path | None:
    """The file that a path of weights means; None where there is none, or its `~NAME` is of no user of this machine."""
    stored = os.environ.get("EVOSEARCH_DATA")
    for folder in (str(Path.cwd()), *([stored] if stored else [])):
        with suppress(InputError):
            if (file := user_path(folder) / user_path(path)).is_file():
                return file.resolve()
    return None


def digest_of(file: Path) -> str:
    """sha256 of a file of weights.

    Raises:
        ConfigError: it cannot be read, or is no safetensors file.
    """
    try:
        with safe_open(file, framework="np"):
            pass
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (SafetensorError, OSError) as error:
        raise ConfigError(f"{str(file)!r} is no readable safetensors file of weights ({error})") from error


def _says_normalize(source: Document | None, place: int) -> bool:
    """Whether somebody said how the images of a listed training are normalised. `place`: of the trial in its list."""
    paths = (("training", "normalize"), ("strategy", "trials", place, "settings", "normalize"))
    return source is not None and any(path in source.places for path in paths)


def imagenet_for(one: ListedTrial, training: TrainingSettings) -> TrainingSettings:
    """How `one` is trained where nobody chose how its images are normalised: as ImageNet's, where it is a hand-made network that
    starts from weights which are no winner of ours, since these were trained so; else as `training` says.
    """
    network = parse_network(one.network)
    if not is_hand_made(network) or weights_of(network) is None or training.normalize != "unit":
        return training
    file = located(one.weights) if one.weights else None
    return training if file is not None and _is_ours(file) else replace(training, normalize="imagenet")


def starting_at(one: ListedTrial, weights: str) -> ListedTrial:
    """The same training, starting from the weights in the file `weights`.

    Raises:
        ConfigError: there is no such file, or it is no safetensors file.
    """
    network = starting_from(parse_network(one.network), _digest(weights, None, "--weights"))
    return replace(one, network=str(network), weights=weights, size=None)


def _is_ours(file: Path) -> bool:
    with safe_open(file, framework="np") as opened:
        return "deviation" in (opened.metadata() or {})


Measure = Callable[[Sequence[Unmeasured], Problem], tuple[NetworkSize, ...]]
"""As `workers.measure_sizes`."""


def sized(settings: StrategySettings, problem: Problem, measure: Measure) -> StrategySettings:
    """The settings of a list with the size of each network that only building it tells, and of each that starts from given weights, which
    are seen to fit it; of another strategy as they are. Sizes that are known stay; lists that began before there were sizes go on
    without.

    Raises:
        InputError: weights do not fit; what does not is named.
    """
    if not isinstance(settings, FixedListSettings) or settings.hand_made == "torchvision":
        return settings
    asked: dict[str, Unmeasured] = {}
    for one in settings.trials:
        if one.size is None and _is_measured(parse_network(one.network)):
            file = located(one.weights) if one.weights else None
            asked.setdefault(one.network, Unmeasured(one.network, str(file) if file else None))
    found = dict(zip(asked, measure(list(asked.values()), problem), strict=True)) if asked else {}
    trials = (replace(one, size=one.size or found.get(one.network)) for one in settings.trials)
    return replace(settings, trials=tuple(trials))


def _is_measured(network: Network) -> bool:
    return is_hand_made(network) or weights_of(network) is not None


def prepared(sessions: Sequence[SearchSession], dataset: Dataset) -> list[SearchSession]:
    """`sessions`, those of lists with the sizes of their networks, once the weights that they start from are kept with them.

    Raises:
        InputError: weights do not fit, or are nowhere to be found.
        CannotRunError: they cannot be kept.
    """
    problem = Problem(dataset.for_search().image, len(dataset.classes))
    measure = _remembering(sessions[0].options.providers.measure_sizes)
    strategies = [sized(one.config.strategy, problem, measure) for one in sessions]
    for one, strategy in zip(sessions, strategies, strict=True):
        if isinstance(strategy, FixedListSettings):
            _keep_starts(one, strategy)
    configs = (replace(one.config, strategy=its) for one, its in zip(sessions, strategies, strict=True))
    return [replace(one, config=config) for one, config in zip(sessions, configs, strict=True)]


def _remembering(measure: Measure) -> Measure:
    """As `measure`, which takes seconds, but once for each network: the seeds of a group have the same ones."""
    known: dict[Unmeasured, NetworkSize] = {}

    def found(networks: Sequence[Unmeasured], problem: Problem) -> tuple[NetworkSize, ...]:
        missing = [one for one in networks if one not in known]
        known.update(zip(missing, measure(missing, problem) if missing else (), strict=True))
        return tuple(known[one] for one in networks)

    return found


def _keep_starts(session: SearchSession, strategy: FixedListSettings) -> None:
    store = artifact_store(session.home, session.config)
    own = store.within(session.config.name)
    for one in strategy.trials:
        digest = weights_of(parse_network(one.network))
        if digest is None or own.exists(name := f"{STARTS}/{start_file(digest)}"):
            continue
        above = store.within(session.parent.name) if session.parent else None
        with TemporaryDirectory(prefix="evosearch-weights-") as folder:
            own.put(_found(digest, one.weights, above, Path(folder, "weights")), name)


def _found(digest: str, hint: str | None, above: ArtifactStore | None, copy: Path) -> Path:
    """A file of this machine with these weights: the one that is hinted at, or a `copy` of the parent search's."""
    file = located(hint) if hint else None
    if file is not None and digest_of(file) == digest:
        return file
    places = [] if above is None else [(above, f"{STARTS}/{start_file(digest)}")]
    if hint and _is_address(hint):
        folder, _, name = hint.rpartition("/")
        places.append((ArtifactStore(folder), name))
    for store, name in places:
        try:
            store.get(name, copy)
        except FileNotFoundError:
            continue
        if digest_of(copy) == digest:
            return copy
    raise ConfigError(
        f"the weights with the sha256 {digest} are not at {hint!r}; give the file that has it as `weights` of the trial"
        if hint
        else f"nothing says where the weights with the sha256 {digest} are; give their file as `weights` of the trial"
    )
