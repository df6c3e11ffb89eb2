"""The section `study` of a configuration: which arms a study compares, from which seeds. Its `kind` says which study.

An *arm* is one row of the study's table: a network that people made, one that a search found, or a way to search. A *member*
is one arm from one seed, and a search of its own. The rest of the file says what all arms have in common.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from evosearch.errors import ConfigError, InvalidChromosomeError
from evosearch.evaluation import Optimizer
from evosearch.genome import HAND_MADE, Chromosome, parse_network
from evosearch.search import BreedingKeys, SampleKeys, check_breeding, check_sample

EVOLVED = "evolved"
"""In `study.networks`: the network that the file's own strategy finds."""

MOST_SEEDS = 1000
"""More members of one arm than this are a slip of the keyboard."""

MOST_OF_ARM = 40
"""Characters of an arm's name: the names of its members are made of it."""

_ARM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")

AblationArm: TypeAlias = Literal[
    "vgg16_bn",
    "random",
    "evo_cnn",
    "eavl",
    "eavl_no_balance",
    "eavl_no_immigrants",
    "eavl_batch_norm_everywhere",
    "eavl_proportional",
]
"""What an ablation can compare."""

DropoutArm: TypeAlias = Literal["ga", "fixed", "none", "grid", "random", "first", "uniform", "weighted"]
"""What a dropout study can compare: how the rate of a network's dropout is chosen."""

FEATURES, MASKS, RANDOM_MASKS = "features", "masks", "random-masks"
"""What the searches are called that these arms rest on."""

SEARCHED: frozenset[DropoutArm] = frozenset({"ga", "first", "weighted", "grid"})
"""Of these those that need the genetic search: for its rate, or for what it cost."""

OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
"""All there are."""


@dataclass(frozen=True, kw_only=True)
class StudyKeys:
    """What every study has."""

    seeds: tuple[int, ...] = (0,)
    """One member of each arm from each seed. Below 3 the table cannot say what chance in training does."""
    base: Mapping[str, Any] | None = field(default=None, hash=False)
    """Of a member, in a journal: what the study's file says where the member's own configuration says something else. Leave
    it out of a file."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.seeds) <= MOST_SEEDS:
            raise ConfigError(
                f"study.seeds holds {len(self.seeds)} seeds; it must be at least 1 and at most {MOST_SEEDS:,}"
            )
        for seed in self.seeds:
            if not 0 <= seed < 2**32:
                raise ConfigError(f"study.seeds has {seed}; a seed is at least 0 and below 2 to the 32nd")
        _refuse_twice("study.seeds", self.seeds)


@dataclass(frozen=True)
class NamedNetwork:
    """A network with a name of its own, or with weights. Each field is a key of an element of `study.networks`."""

    network: str
    """As an element that is a text."""
    name: str | None = None
    """What its arm is called. Left out: made of the network."""
    weights: str | None = None
    """File of weights that it starts from, safetensors. null: random ones."""

    def __post_init__(self) -> None:
        check_network(self.network, "study.networks")
        if self.name is not None:
            _check_arm(self.name)


@dataclass(frozen=True)
class BaselinesStudy(StudyKeys):
    """Is the evolved network better than what people made? Networks on the same data, budget and seeds (EAVL-COVID,
    "Baselines").
    """

    kind: Literal["baselines"] = "baselines"
    """Which study."""
    networks: tuple[str | NamedNetwork, ...] = (
        EVOLVED,
        "vgg16_bn",
        "resnet18",
        "resnet50",
        "densenet121",
        "densenet169",
        "efficientnet_b0",
        "efficientnet_b1",
    )
    """What is compared: `evolved` (what the file's own strategy finds), a hand-made network's name, a chromosome as text, or
    the name of a finished search for its best; or keys `network`, `name` and `weights`."""
    given: Literal["once", "seconds"] = "once"
    """Budget of every network but `evolved`. once: one training, at `training.learning_rate`. seconds: as many as the worker-seconds of
    the search for `evolved` pay for, each at another learning rate between a tenth and ten times that; the best by validation is
    trained again."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.networks:
            raise ConfigError(f"study.networks is empty; name a network, for instance {EVOLVED}")
        for one in self.networks:
            if isinstance(one, str):
                check_network(one, "study.networks")
        _refuse_twice("study.networks", [arm_of(one) for one in self.networks], "; give one another `name`")
        if self.given == "seconds":
            if self.evolved is None:
                raise ConfigError(
                    f'study.given is "seconds", those of the search for {EVOLVED}, which study.networks lacks; add it'
                )
            names = [one.name or one.network for one in self.entries]
            for name in names:
                if once_arm(name) in names:
                    raise ConfigError(
                        f"study.networks has {once_arm(name)}, which is what the first training of {name} is called; give it "
                        "another `name`"
                    )

    @property
    def evolved(self) -> str | None:
        """What the arm of the first network that is searched for is called; None: there is none."""
        return next((one.name for one in self.entries if one.network == EVOLVED), None)

    def objections(self) -> Sequence[str]:
        """Why no new study may have it, a line each."""
        return [
            f"study.networks has {EVOLVED} with the weights {one.weights!r}; what a search finds starts from random ones, so "
            "leave `weights` out"
            for one in self.entries
            if one.network == EVOLVED and one.weights is not None
        ]

    @property
    def entries(self) -> tuple[NamedNetwork, ...]:
        """The networks, each with its arm's name."""
        return tuple(
            NamedNetwork(one, arm_of(one))
            if isinstance(one, str)
            else NamedNetwork(one.network, arm_of(one), one.weights)
            for one in self.networks
        )


@dataclass(frozen=True)
class AblationStudy(StudyKeys):
    """What does each part of the evolution give? The file's strategy beside others of equal budget (EAVL-COVID, "Ablation")."""

    kind: Literal["ablation"] = "ablation"
    """Which study."""
    arms: tuple[AblationArm, ...] = ("vgg16_bn", "random", "evo_cnn", "eavl")
    """vgg16_bn (by hand), random (random search, batch norm everywhere), evo_cnn (evolution in a static space), eavl (the
    file's strategy); and eavl without balance, without immigrants, with batch norm everywhere, or with proportional
    selection: eavl_no_balance, eavl_no_immigrants, eavl_batch_norm_everywhere, eavl_proportional."""
    random: Literal["evaluations", "seconds"] | int = "evaluations"
    """Budget of the random search. evaluations: as many networks as the evolution. seconds: as many as the evolution's
    worker-seconds paid for, counted once it has ended. A number: so many (the paper: 1000)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.arms:
            raise ConfigError("study.arms is empty; name an arm, for instance eavl")
        _refuse_twice("study.arms", self.arms)
        if isinstance(self.random, int) and self.random < 1:
            raise ConfigError(f"study.random is {self.random}; it must be at least 1")
        if self.random == "seconds" and "random" in self.arms and "eavl" not in self.arms:
            raise ConfigError(
                'study.random is "seconds", those of the arm eavl, which study.arms lacks; add it'
            )


@dataclass(frozen=True, kw_only=True)
class LearningRates:
    """Step size of each optimizer. The paper gives Adam's alone; at that one SGD and Adadelta do not train. Each field is a key
    under `study.learning_rates`.
    """

    adam: float = 1e-4
    """Of Adam."""
    sgd: float = 1e-2
    """Of SGD."""
    adadelta: float = 1.0
    """Of Adadelta."""
    rmsprop: float = 1e-4
    """Of RMSprop."""

    def __post_init__(self) -> None:
        for one in OPTIMIZERS:
            if not 0 < self.of(one) < float("inf"):
                raise ConfigError(
                    f"study.learning_rates.{one} is {self.of(one)}; it must be above 0 and finite"
                )

    def of(self, optimizer: Optimizer) -> float:
        """That of `optimizer`.

        >>> LearningRates().of("sgd")
        0.01
        """
        rate: float = getattr(self, optimizer)
        return rate


@dataclass(frozen=True)
class BatchNormStudy(StudyKeys):
    """Does the choice of batch norm matter? A network as found (ORIGIN), with batch norm after every convolution (VARIANT#1) and
    with none (VARIANT#2), by each optimizer (EAVL-COVID, tables 4 and 6).
    """

    kind: Literal["batchnorm"] = "batchnorm"
    """Which study."""
    network: str | None = None
    """ORIGIN: a chromosome as text, or the name of a finished search for its best."""
    seeds: tuple[int, ...] = field(default=(0, 1, 2, 3, 4), kw_only=True)
    """One training of each arm from each seed; five are the paper's repeats."""
    optimizers: tuple[Optimizer, ...] = ("sgd", "adadelta", "rmsprop", "adam")
    """By which each is trained."""
    learning_rates: LearningRates = field(default_factory=LearningRates)
    """Step size of each optimizer, in place of `training.learning_rate`."""
    weights: tuple[str, ...] = ()
    """Files of weights, safetensors, for ORIGIN, VARIANT#1 and VARIANT#2 in this order. Each that has one is trained from it
    too."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.optimizers:
            raise ConfigError("study.optimizers is empty; name one, for instance adam")
        _refuse_twice("study.optimizers", self.optimizers)
        if len(self.weights) > 3:
            raise ConfigError(
                f"study.weights holds {len(self.weights)} files; there are three networks, ORIGIN, VARIANT#1 and VARIANT#2"
            )
        if self.network is not None:
            if not self.network or self.network in (*HAND_MADE, EVOLVED):
                raise ConfigError(
                    f"study.network is {self.network!r}; give a chromosome, `C8 B16 P | F32`, or the name of a search"
                )
            check_network(self.network, "study.network")

    def objections(self) -> Sequence[str]:
        """Why no new study may have it, a line each."""
        origin = parse_network(self.network) if self.network is not None and is_text(self.network) else None
        if not isinstance(origin, Chromosome) or origin.convolutions:
            return ()
        return [
            f"study.network is {self.network!r}, without a convolution; give one that has a batch norm or may have one"
        ]


@dataclass(frozen=True, kw_only=True)
class DropoutStudy(BreedingKeys, SampleKeys, StudyKeys):
    """Does a genetic search find a better rate of dropout? For each network its own search, and the network trained with the rate
    that was found beside others (GA-Dropout).
    """

    kind: Literal["dropout"] = "dropout"
    """Which study."""
    networks: tuple[str, ...] = ("inception_v3", "resnet152")
    """Whose dropout before the class layer is searched: hand-made networks' names, chromosomes as text, or names of finished
    searches for their best."""
    arms: tuple[DropoutArm, ...] = ("ga", "fixed", "none", "grid", "random", "first", "uniform")
    """Rates that each network is trained with. ga: of the best mask of the genetic search. fixed: `study.fixed`. none: 0. grid: the
    best by validation of rates evenly between 0 and 1, as many as the worker-seconds of ga pay for. random: of the best of as
    many masks drawn at random. first: of the best mask of the search's first generation. uniform: drawn evenly from 0 to 1, so
    that the search did nothing. weighted: as ga, units dropped by weight (`training.dropout_units`)."""
    fixed: float = 0.5
    """Rate of the arm fixed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sample(self, "study")
        check_breeding(self, "study")
        if not 0 <= self.fixed < 1:
            raise ConfigError(f"study.fixed is {self.fixed}; a rate lies between 0 and 1, 1 excluded")
        if not self.arms:
            raise ConfigError("study.arms is empty; name an arm, for instance ga")
        _refuse_twice("study.arms", self.arms)
        if self.arms == ("grid",):
            raise ConfigError(
                "study.arms has grid alone, which is as dear as ga and takes a training's price from the other arms; add ga"
            )
        if not self.networks:
            raise ConfigError("study.networks is empty; name a network, for instance resnet18")
        for one in self.networks:
            if one == EVOLVED:
                raise ConfigError(
                    f"study.networks has {EVOLVED}, but a dropout study evolves no network; name a finished search for its best"
                )
            check_network(one, "study.networks", also="")
        _refuse_twice("study.networks", [arm_of(one) for one in self.networks])
        names = [name for one in self.networks for name in dropout_arms(one)]
        for name in _repeated(names):
            raise ConfigError(
                f"study.networks has two networks of which arms would be called {name}; name one of them otherwise, for instance a "
                "chromosome by its text"
            )


def dropout_arms(network: str) -> tuple[str, ...]:
    """What the arms of a network of a dropout study are called, those of its searches first.

    >>> dropout_arms("resnet18")[:4]
    ('resnet18-features', 'resnet18-masks', 'resnet18-random-masks', 'resnet18-ga')
    """
    return tuple(f"{arm_of(network)}-{one}" for one in (FEATURES, MASKS, RANDOM_MASKS, *get_args(DropoutArm)))


StudySettings: TypeAlias = BaselinesStudy | AblationStudy | BatchNormStudy | DropoutStudy
"""A study's section, told apart by `kind`."""

STUDIES: Mapping[str, type[StudySettings]] = {
    "baselines": BaselinesStudy,
    "ablation": AblationStudy,
    "batchnorm": BatchNormStudy,
    "dropout": DropoutStudy,
}
"""By kind, which is also the command's name."""

STUDY_PARTS: Mapping[str, type] = {"networks": NamedNetwork, "learning_rates": LearningRates}
"""What has keys inside of a study's section, by key."""


def once_arm(arm: str) -> str:
    """What the one training is called by which a baselines study finds out what a network of `arm` costs.

    >>> once_arm("resnet18")
    'resnet18-once'
    """
    return f"{arm}-once"


def is_text(network: str) -> bool:
    """Whether `network` says all by itself, as a chromosome or a hand-made network; else it names a search.

    >>> is_text("C8 P | F4"), is_text("resnet18"), is_text("digits/seed-3")
    (True, True, False)
    """
    return "|" in network or network.partition(" ")[0] in HAND_MADE


def check_network(network: str, key: str, also: str = f"{EVOLVED}, ") -> None:
    """See that an element of `key` can be a network's text form, or the name of a search. `also`: what else it may be, in words.

    Raises:
        ConfigError: it is neither.
    """
    try:
        if is_text(network):
            parse_network(network)
            return
    except InvalidChromosomeError as error:
        raise ConfigError(f"{key}: {error}") from None
    if not re.fullmatch(r"[A-Za-z0-9_/.-]+", network):
        raise ConfigError(
            f"{key} has {network!r}; give {also}a chromosome (`C8 P | F4`), the name of a search, or one of "
            f"{', '.join(HAND_MADE)}"
        )


def arm_of(one: str | NamedNetwork) -> str:
    """What the arm of a network is called: its name, or one that is made of the network.

    >>> arm_of("resnet18"), arm_of("digits/seed-3"), arm_of("C8 P | F4")
    ('resnet18', 'digits-seed-3', 'network-07476739')
    """
    if isinstance(one, NamedNetwork):
        return one.name or arm_of(one.network) + ("" if one.weights is None else "-pretrained")
    if "|" in one:
        return f"network-{parse_network(one).key[:8]}"
    return one.partition(" ")[0].replace("/", "-")


def _check_arm(name: str) -> None:
    if not _ARM.fullmatch(name) or ".." in name or len(name) > MOST_OF_ARM:
        raise ConfigError(
            f"study.networks has the name {name!r}; use up to {MOST_OF_ARM} letters, digits, '.', '_' and '-', the first a "
            "letter, a digit or '_'"
        )


def _refuse_twice(key: str, values: Sequence[object], repair: str = "; name each once") -> None:
    for one in _repeated(values):
        raise ConfigError(f"{key} has {one} twice{repair}")


def _repeated(values: Sequence[object]) -> Iterator[object]:
    return (one for one in values if values.count(one) > 1)
