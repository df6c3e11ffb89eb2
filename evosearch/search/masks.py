"""The search for masks of a dropout layer (GA-Dropout): binary vectors over the layer's units, bred by a genetic algorithm.

Two strategies: `features` has one trial, which keeps what enters the layer; `masks` breeds vectors over them, a generation per
trial. The rate that is found is the share of zeros in the best vector. Where the paper is silent, the docstrings say how it is
read here.
"""

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from math import isfinite
from typing import Literal, TypeAlias

import numpy as np

from evosearch.errors import ConfigError, InvalidChromosomeError, SearchConflictError
from evosearch.evaluation import (
    MOST_EPOCHS,
    Candidate,
    Failure,
    FailureKind,
    FeaturesOf,
    Labels,
    Losses,
    MaskRule,
    Masks,
    Origin,
    Outcome,
    TrainingSettings,
    Trial,
    TrialId,
    check_sample_of,
    evaluation_seed,
)
from evosearch.genome import Network, parse_network, weights_of
from evosearch.search.context import Purpose, SearchContext, stream
from evosearch.search.state import Score, SearchProgress, score_of

MOST_VECTORS = 10_000
"""In a generation; more train at once on no device."""

MOST_CYCLE = 10_000
"""Generations; more is a slip of the keyboard."""

MOST_UNITS = 1_000_000
"""Of a layer; none has more."""

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class SampleKeys:
    """How the features are made that masks are laid over."""

    beta: float = 0.5
    """Rate of dropout before the class layer while the features are learned, and what kept ones are scaled by."""
    sample: float = 0.1
    """Share of the training images that the features are of, drawn at random."""
    pretrain_epochs: int = 5
    """Passes over the sample by which the features are learned."""


@dataclass(frozen=True, kw_only=True)
class BreedingKeys:
    """How masks are bred and judged."""

    population: int = 30
    """Vectors in a generation."""
    cycle: int = 20
    """Generations that are bred after the first."""
    shares: tuple[float, float] = (0.1, 0.9)
    """Shares of zeros in the first generation, from the first vector to the last, evenly."""
    selected: float = 0.5
    """Share of a generation that roulette selects: they stay, with their losses, and are the parents of the others."""
    crossover: float = 0.9
    """Chance that a child is crossed, at one point, of two parents; else it is a copy of one."""
    mutation: float | None = None
    """Chance of each bit of a child to flip. null: 1 / units."""
    weight: float = 11.0
    """Fixed weight above ten that makes a fitness of a loss (equation 5); it cancels in roulette, and is kept for the record."""
    mask_epochs: int = 5
    """Passes over the sample by which the class layer is trained further for each vector, from where the features' training left it."""
    objective: Literal["train", "validation"] = "train"
    """train: the sum over the epochs of the mean training loss. validation: of the mean loss over every fifth image of the sample, which no mask is then trained on, though the network was; a training loss favours keeping every unit."""
    scale: Literal["beta", "kept"] = "beta"
    """What kept features are multiplied by. beta: 1 / (1 - beta). kept: units / kept units."""


@dataclass(frozen=True, kw_only=True)
class OverFeatures(SampleKeys):
    """What both strategies have to know of the features, so that either can tell a worker how they are made."""

    network: str = ""
    """Text form of the network: a chromosome's, or a hand-made one's name."""

    def __post_init__(self) -> None:
        if not self.network:
            raise ConfigError(
                "strategy.network is missing; give a chromosome, or a hand-made network such as resnet18"
            )
        try:
            found = parse_network(self.network)
        except InvalidChromosomeError as error:
            raise ConfigError(f"strategy.network: {error}") from None
        if weights_of(found) is not None:
            raise ConfigError(
                f"strategy.network is {self.network!r}, which starts from given weights; features are learned from random "
                "ones, so give the network without them"
            )
        check_sample(self, "strategy")

    @property
    def subject(self) -> FeaturesOf:
        """Whose features."""
        return FeaturesOf(self.parsed)

    @property
    def parsed(self) -> Network:
        """The network."""
        return parse_network(self.network)

    @property
    def has_time_limits(self) -> bool:
        """Nothing takes the place of a trial that came to nothing, so each takes as long as it takes."""
        return False

    @property
    def rule(self) -> MaskRule:
        """How a mask over the features is judged."""
        return MaskRule(self.beta)

    def pretraining(self, training: TrainingSettings) -> TrainingSettings:
        """How the features are learned in a search that trains by `training`."""
        return replace(
            training, epochs=self.pretrain_epochs, class_dropout=self.beta, patience=None, fit="train"
        )

    def check_images(
        self,
        labels: Labels,
        classes: Sequence[str],
        training: TrainingSettings,
        seed: int,
        section: str = "strategy",
    ) -> int:
        """See that the sample of a search from `seed` has a whole batch, and images of each class; see `check_sample_of`. `section`:
        whose key the share is.

        Returns: how many images it has.

        Raises:
            ConfigError: it has not.
        """
        drawn = evaluation_seed(seed, self.subject.key)
        key = f"{section}.sample"
        return check_sample_of(labels, classes, self.sample, training.batch_size, drawn, key)


@dataclass(frozen=True, kw_only=True)
class FeaturesSettings(OverFeatures):
    """Keeps features for a search of masks. Each field is a key under `strategy`."""

    name: Literal["features"] = "features"
    """Which strategy."""

    @property
    def generations(self) -> int:
        """One trial is one generation."""
        return 1

    @property
    def evaluations_in_all(self) -> int:
        """One."""
        return 1

    def make(self, context: SearchContext) -> "FeaturesStrategy":
        """The one trial as a strategy."""
        return FeaturesStrategy(self, context)

    def with_generations(self, generations: int) -> "FeaturesSettings":
        """Itself, which has one generation.

        Raises:
            SearchConflictError: another number is asked for.
        """
        if generations != 1:
            raise SearchConflictError(
                f"features are kept once, which is all one generation, not {generations}; leave --generations out"
            )
        return self


@dataclass(frozen=True, kw_only=True)
class MasksSettings(BreedingKeys, OverFeatures):
    """A genetic search for a mask (GA-Dropout). Each field is a key under `strategy`."""

    name: Literal["masks"] = "masks"
    """Which strategy."""
    features: str = ""
    """sha256 of the features, as `results` has it of the search that kept them."""
    units: int = 1
    """Of the dropout layer, as that search tells: bits of a vector."""
    breeding: Literal["genetic", "random"] = "genetic"
    """random: every generation is drawn as the first, so many vectors of which as genetic breeding would train."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _SHA256.fullmatch(self.features):
            raise ConfigError(
                f"strategy.features is {self.features!r}; give the sha256 of kept features, 64 hexadecimal digits, as "
                "`evosearch results` has it of the search that kept them"
            )
        _check_whole("strategy", "units", self.units, 1, MOST_UNITS)
        check_breeding(self, "strategy")

    @property
    def staying(self) -> int:
        """How many vectors are selected: they stay, and are parents."""
        return staying_of(self)

    @property
    def born(self) -> int:
        """New vectors in each generation after the first."""
        return self.population - self.staying

    @property
    def generations(self) -> int:
        """In all, the first one included."""
        return self.cycle + 1

    @property
    def evaluations_in_all(self) -> int:
        """A trial for each generation."""
        return self.generations

    @property
    def rule(self) -> MaskRule:
        """How a mask is judged."""
        return MaskRule(self.beta, self.objective, self.scale)

    def mask_training(self, training: TrainingSettings) -> TrainingSettings:
        """How what is behind the layer is trained for each mask, in a search that trains by `training`."""
        return replace(training, epochs=self.mask_epochs, patience=None, fit="train")

    def make(self, context: SearchContext) -> "MasksStrategy":
        """The search with these settings."""
        return MasksStrategy(self, context)

    def with_generations(self, generations: int) -> "MasksSettings":
        """The same search, longer or shorter.

        Raises:
            SearchConflictError: none would be bred.
        """
        if not 2 <= generations <= MOST_CYCLE + 1:
            raise SearchConflictError(
                f"a search of masks has 2 to {MOST_CYCLE + 1:,} generations, of which the first is drawn and the others are "
                f"bred, not {generations}; give --generations such a number"
            )
        return replace(self, cycle=generations - 1)


def check_sample(keys: SampleKeys, section: str) -> None:
    """See that features can be made so. `section`: whose keys they are.

    Raises:
        ConfigError: they cannot.
    """
    if not 0 <= keys.beta < 1:
        raise ConfigError(f"{section}.beta is {keys.beta}; a rate lies between 0 and 1, 1 excluded")
    if not 0 < keys.sample <= 1:
        raise ConfigError(
            f"{section}.sample is {keys.sample}; a share of the images is above 0 and at most 1"
        )
    _check_whole(section, "pretrain_epochs", keys.pretrain_epochs, 1, MOST_EPOCHS)


def staying_of(keys: BreedingKeys) -> int:
    """How many vectors of a generation are selected, two at least: they stay, and are parents."""
    return max(2, round(keys.selected * keys.population))


def check_breeding(keys: BreedingKeys, section: str) -> None:
    """See that masks can be bred so. `section`: whose keys they are.

    Raises:
        ConfigError: they cannot.
    """
    _check_whole(section, "population", keys.population, 3, MOST_VECTORS)
    _check_whole(section, "cycle", keys.cycle, 1, MOST_CYCLE)
    low, high = keys.shares
    if not 0 <= low <= high <= 1:
        raise ConfigError(
            f"{section}.shares is [{low}, {high}]; shares of zeros lie between 0 and 1, the lower one first"
        )
    if not 0 < keys.selected < 1:
        raise ConfigError(
            f"{section}.selected is {keys.selected}; a share of the generation is above 0 and below 1"
        )
    if staying_of(keys) >= keys.population:
        raise ConfigError(
            f"{section}.selected is {keys.selected}, which leaves no child in a population of {keys.population}; lower it"
        )
    for name in ("crossover", "mutation"):
        value = getattr(keys, name)
        if value is not None and not 0 <= value <= 1:
            raise ConfigError(f"{section}.{name} is {value}; a chance lies between 0 and 1")
    if not keys.weight > 10 or not isfinite(keys.weight):
        raise ConfigError(f"{section}.weight is {keys.weight}; it must be above 10, and finite")
    _check_whole(section, "mask_epochs", keys.mask_epochs, 1, MOST_EPOCHS)


def _check_whole(section: str, name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ConfigError(f"{section}.{name} is {value}; it must be at least {least} and at most {most:,}")


@dataclass(frozen=True)
class FeaturesState:
    """Whether the features are kept."""

    score: Score | None = None
    """What came of it; None while nothing did."""


@dataclass(frozen=True)
class FeaturesStrategy:
    """One trial, which comes to the features; see `Strategy` for the contract. None of it is best: nothing is compared."""

    settings: FeaturesSettings
    """Whose features, and how they are learned."""
    context: SearchContext
    """The search's surroundings."""

    @property
    def evaluations(self) -> int:
        """One."""
        return 1

    def start(self) -> FeaturesState:
        """Nothing trained."""
        return FeaturesState()

    def ask(self, state: FeaturesState, *, early: bool = False) -> tuple[Trial, ...]:  # noqa: ARG002 - no next generation
        """The trial, until it has ended."""
        if state.score is not None:
            return ()
        return (Trial(0, self._candidate, self.settings.pretraining(self.context.training)),)

    def tell(self, state: FeaturesState, outcomes: Mapping[TrialId, Outcome]) -> FeaturesState:
        """Note what came of it."""
        found = outcomes.get(TrialId(0))
        return state if found is None else FeaturesState(score_of(found))

    def reopen(self, state: FeaturesState, trials: Set[TrialId]) -> FeaturesState:
        """Forget it."""
        return FeaturesState() if TrialId(0) in trials else state

    def progress(self, state: FeaturesState) -> SearchProgress:
        """One member, and no best."""
        scores = {} if state.score is None else {0: state.score}
        return SearchProgress(0, 1, (self._candidate,), scores)

    def finished(self, state: FeaturesState) -> bool:
        """Whether the trial has ended."""
        return state.score is not None

    @property
    def _candidate(self) -> Candidate:
        return Candidate(0, 0, self.settings.subject, Origin.LISTED, operations=())


@dataclass(frozen=True, slots=True)
class Mask:
    """A vector of a population."""

    vector: str
    """0: the unit is dropped. 1: it is kept."""
    generation: int
    """The one it was trained in."""
    slot: int
    """Its place among those of that generation, from 0."""
    loss: float | None = None
    """Finite; None where it has none yet, where it has diverged, and where the trial of its generation failed."""

    @property
    def rate(self) -> float:
        """The share of zeros, which is the rate of dropout that it stands for, 0 to 1, 1 excluded."""
        return self.vector.count("0") / len(self.vector)


TrainedMasks: TypeAlias = tuple[int, Masks, Losses]
"""A generation that was trained: its number, the vectors that were new in it, and their losses."""


def best_mask(trained: Iterable[TrainedMasks]) -> Mask | None:
    """The vector of the lowest loss, of equals the earlier one by generation and slot; None where none has a loss that is a
    number. Of those of the first generation alone it is the best that nothing was bred for.

    >>> first = 0, Masks(("0111", "0011")), Losses((0.5, 0.25), 0.0)
    >>> best_mask([first, (1, Masks(("0001",)), Losses((0.25,), 0.0))])
    Mask(vector='0011', generation=0, slot=1, loss=0.25)
    """
    each = (
        (loss, generation, slot, vector)
        for generation, masks, losses in trained
        for slot, (vector, loss) in enumerate(zip(masks.vectors, losses.losses, strict=True))
        if isfinite(loss)
    )
    best = min(each, default=None)
    return None if best is None else Mask(best[3], best[1], best[2], best[0])


def roulette(
    losses: Sequence[float | None], count: int, weight: float, rng: np.random.Generator
) -> list[int]:
    """Draw `count` places without replacement, each in proportion to what its fitness, `weight` times its loss, is below the
    worst of all.

    Where every chance that is left is 0 (all equal, or none but the worst left), those with a loss are equally likely; those
    without one come last. Source: GA-Dropout, equation 5 and "roulette"; that smaller is better is read as worst - fitness.

    Returns: places in `losses`, in the order in which they were drawn.

    >>> roulette([0.5, None, 0.5, 0.25], 3, 11.0, np.random.default_rng(0))
    [3, 0, 2]
    """
    known = [loss for loss in losses if loss is not None]
    worst = weight * max(known, default=0.0)
    chances = np.array([0.0 if loss is None else worst - weight * loss for loss in losses])
    has_loss = np.array([loss is not None for loss in losses], dtype=np.float64)
    left = np.ones(len(losses))
    drawn = []
    for _ in range(count):
        weights = next(one for one in (chances * left, has_loss * left, left) if one.any())
        place = int(rng.choice(len(losses), p=weights / weights.sum()))
        left[place] = 0.0
        drawn.append(place)
    return drawn


def spread_out(count: int, shares: tuple[float, float]) -> list[float]:
    """So many shares from the first of `shares` to the second, evenly; a single one is in their middle.

    >>> spread_out(3, (0.1, 0.9))
    [0.1, 0.5, 0.9]
    """
    if count == 1:
        return [(shares[0] + shares[1]) / 2]
    return [float(share) for share in np.linspace(*shares, count)]


def draw_vector(units: int, share: float, rng: np.random.Generator) -> str:
    """A vector with `share` of zeros, in places drawn at random; one unit at least is kept, else nothing passed the layer.

    >>> draw_vector(8, 0.25, np.random.default_rng(0)).count("0")
    2
    """
    zeros = min(round(share * units), units - 1)
    bits = np.ones(units, dtype=np.uint8)
    bits[rng.permutation(units)[:zeros]] = 0
    return _text(bits)


def crossed(first: str, second: str, point: int) -> str:
    """The first vector up to `point`, and the second one from there.

    >>> crossed("0000", "1111", 1)
    '0111'
    """
    return first[:point] + second[point:]


def mutated(vector: str, chance: float, rng: np.random.Generator) -> str:
    """Each bit flipped with `chance`; where no unit would be kept, one drawn at random is.

    >>> mutated("10", 1.0, np.random.default_rng(0)), mutated("11", 1.0, np.random.default_rng(0))
    ('01', '10')
    """
    bits = np.array([bit == "1" for bit in vector]) ^ (rng.random(len(vector)) < chance)
    if not bits.any():
        bits[rng.integers(len(bits))] = True
    return _text(bits)


def _text(bits: Sequence[bool] | np.ndarray) -> str:
    return "".join("1" if bit else "0" for bit in bits)


@dataclass(frozen=True)
class MasksState:
    """A population, and what is known of it."""

    generation: int
    """The one being trained, from 0."""
    staying: tuple[Mask, ...]
    """Selected of the generation before, with their losses."""
    born: tuple[str, ...]
    """The new vectors, which its trial trains."""
    outcome: tuple[float, ...] | FailureKind | None = None
    """The loss of each of them, or how their trial failed; None while it has not ended."""
    best: tuple[Candidate, Mask] | None = None
    """The best vector of the generations before, and the candidate that it was trained in."""

    @property
    def members(self) -> tuple[Mask, ...]:
        """The whole population: those that stay, then the new ones."""
        losses: Sequence[float | None] = (None,) * len(self.born)
        if isinstance(self.outcome, tuple):
            losses = [loss if isfinite(loss) else None for loss in self.outcome]
        new = zip(self.born, losses, strict=True)
        return (*self.staying, *(Mask(one, self.generation, at, loss) for at, (one, loss) in enumerate(new)))


@dataclass(frozen=True)
class MasksStrategy:
    """GA-Dropout's search as ask/tell; see `Strategy` for the contract. Generation g is trial g, whose subject is its new
    vectors; what was trained before keeps its loss, and is never trained again.

    A generation whose trial fails for good has no losses: its vectors are parents of nobody while others have one.
    """

    settings: MasksSettings
    """Sizes and chances."""
    context: SearchContext
    """The search's surroundings."""

    @property
    def evaluations(self) -> int:
        """A trial for each generation."""
        return self.settings.generations

    def start(self) -> MasksState:
        """Vectors with different shares of zeros."""
        return MasksState(0, (), self._drawn(0, self.settings.population))

    def ask(self, state: MasksState, *, early: bool = False) -> tuple[Trial, ...]:  # noqa: ARG002 - all wait for losses
        """This generation's trial, until it has ended."""
        if state.outcome is not None:
            return ()
        training = self.settings.mask_training(self.context.training)
        return (Trial(state.generation, self._candidate(state), training),)

    def tell(self, state: MasksState, outcomes: Mapping[TrialId, Outcome]) -> MasksState:
        """Note the losses; with them comes the next generation."""
        found = outcomes.get(TrialId(state.generation))
        if found is not None:
            state = replace(state, outcome=_told(found, len(state.born)))
        return state if state.outcome is None or self._is_last(state) else self._next_generation(state)

    def reopen(self, state: MasksState, trials: Set[TrialId]) -> MasksState:
        """Forget this generation's outcome; former ones have been bred from, and are history."""
        return replace(state, outcome=None) if TrialId(state.generation) in trials else state

    def progress(self, state: MasksState) -> SearchProgress:
        """One member: this generation's trial."""
        candidate = self._candidate(state)
        scores = {} if state.outcome is None else {candidate.number: _score(state.outcome)}
        best, before = self._best(state), state.best
        return SearchProgress(
            state.generation,
            state.generation + 1,
            (candidate,),
            scores,
            _verdict(best),
            _verdict(before),
            by="loss",
            note="" if best is None else f"rate {best[1].rate:.3f}",
        )

    def finished(self, state: MasksState) -> bool:
        """Whether the last generation has losses."""
        return state.outcome is not None and self._is_last(state)

    def _is_last(self, state: MasksState) -> bool:
        return state.generation >= self.settings.cycle

    def _candidate(self, state: MasksState) -> Candidate:
        """The new vectors; where they are bred, of what the generation before left."""
        generation, origin, parents = state.generation, Origin.INITIAL, tuple[int, ...]()
        if generation and self.settings.breeding == "random":
            origin = Origin.IMMIGRANT
        elif generation:
            origin, parents = Origin.CROSSOVER, (generation - 1,)
        subject = Masks(state.born, self.settings.features)
        return Candidate(generation, generation, subject, origin, parents, operations=())

    def _best(self, state: MasksState) -> tuple[Candidate, Mask] | None:
        """This generation counted too; of equals the earlier one."""
        contenders = [] if state.best is None else [state.best]
        if isinstance(state.outcome, tuple):
            own = best_mask([(state.generation, Masks(state.born), Losses(state.outcome, 0.0))])
            contenders += [] if own is None else [(self._candidate(state), own)]
        return min(contenders, key=lambda pair: (pair[1].loss, pair[1].generation), default=None)

    def _next_generation(self, state: MasksState) -> MasksState:
        settings, generation, members = self.settings, state.generation + 1, state.members
        rng = stream(self.context.seed, generation, Purpose.SELECTION)
        chosen = roulette([one.loss for one in members], settings.staying, settings.weight, rng)
        staying = tuple(members[place] for place in sorted(chosen))
        if settings.breeding == "random":
            born = self._drawn(generation, settings.born)
        else:
            born = tuple(self._child(generation, slot, staying) for slot in range(settings.born))
        return MasksState(generation, staying, born, best=self._best(state))

    def _drawn(self, generation: int, count: int) -> tuple[str, ...]:
        shares = spread_out(count, self.settings.shares)
        return tuple(
            draw_vector(
                self.settings.units,
                share,
                stream(self.context.seed, generation, Purpose.RANDOM_INDIVIDUAL, slot),
            )
            for slot, share in enumerate(shares)
        )

    def _child(self, generation: int, slot: int, parents: Sequence[Mask]) -> str:
        """Of two of the parents, every pair with the same chance."""
        settings, units = self.settings, self.settings.units
        rng = stream(self.context.seed, generation, Purpose.CROSSOVER, slot)
        first, second = (parents[place].vector for place in rng.choice(len(parents), size=2, replace=False))
        child = first
        if rng.random() < settings.crossover and units > 1:
            child = crossed(first, second, int(rng.integers(1, units)))
        chance = 1 / units if settings.mutation is None else settings.mutation
        return mutated(child, chance, stream(self.context.seed, generation, Purpose.BALANCE, slot))


def _told(outcome: Outcome, count: int) -> tuple[float, ...] | FailureKind:
    """The losses of so many vectors, or how their trial failed.

    Raises:
        TypeError, ValueError: it is the outcome of something else.
    """
    if isinstance(outcome, Failure):
        return outcome.kind
    if not isinstance(outcome, Losses):
        raise TypeError(f"a generation of masks comes to losses, found {outcome}")
    if len(outcome.losses) != count:
        raise ValueError(f"{count} masks come to as many losses, found {len(outcome.losses)}")
    return outcome.losses


def _score(outcome: tuple[float, ...] | FailureKind) -> Score:
    return Score(failure=outcome) if isinstance(outcome, FailureKind) else score_of(Losses(outcome, 0.0))


def _verdict(best: tuple[Candidate, Mask] | None) -> tuple[Candidate, float] | None:
    return None if best is None or best[1].loss is None else (best[0], best[1].loss)
