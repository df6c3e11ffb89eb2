"""The unit of work: a *candidate* is something to be judged with its place in a search, a *trial* one training of it."""

import hashlib
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import TypeAlias, assert_never

from evosearch.errors import InvalidChromosomeError
from evosearch.evaluation.settings import TrainingSettings
from evosearch.genome import Chromosome, HandMade, Network, Operation, Pretrained, parse_network, words_of

_BITS = re.compile("[01]+")
_MASKS = re.compile(r"masks (?:of ([0-9a-f]{64}) )?([01 ]*)")
_FEATURES = "features of "


@dataclass(frozen=True)
class FeaturesOf:
    """What enters the last dropout layer of a network that is trained briefly: features of a sample of the training images
    (GA-Dropout). How briefly, and on how many, the search says.

    >>> str(FeaturesOf(parse_network("resnet18")))
    'features of resnet18'
    """

    network: Network
    """Whose."""

    def __str__(self) -> str:
        return f"{_FEATURES}{self.network}"

    @cached_property
    def key(self) -> str:
        """Content key, as that of `Masks`."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Masks:
    """Bit vectors that are trained together in one trial.

    >>> str(Masks(("0110", "1111")))
    'masks 0110 1111'
    """

    vectors: tuple[str, ...]
    """Each a text of 0 (drop) and 1 (keep), all of one length."""
    features: str | None = None
    """sha256 of the features that they are laid over, 64 hexadecimal digits; None: of doubles, which need none."""

    def __post_init__(self) -> None:
        lengths = {len(vector) for vector in self.vectors}
        if len(lengths) != 1 or not all(map(_BITS.fullmatch, self.vectors)):
            raise InvalidChromosomeError(
                f"masks are texts of 0 and 1 of one length, at least one of them; found {self.vectors}"
            )

    def __str__(self) -> str:
        of = "" if self.features is None else f"of {self.features} "
        return f"masks {of}{' '.join(self.vectors)}"

    @cached_property
    def key(self) -> str:
        """Content key: equal for equal masks on every machine, 20 hexadecimal digits."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:20]


Subject: TypeAlias = Network | FeaturesOf | Masks
"""What can be trialled. Each has a text form (`str`, `parse_subject`) and a content key."""


def parse_subject(text: str) -> Subject:
    """Read a subject from its text form.

    Raises:
        InvalidChromosomeError: the text is of none.

    >>> parse_subject("masks 01 11")
    Masks(vectors=('01', '11'), features=None)
    """
    if found := _MASKS.fullmatch(text):
        return Masks(tuple(found[2].split()), found[1])
    if text.startswith(_FEATURES):
        return FeaturesOf(parse_network(text.removeprefix(_FEATURES)))
    return parse_network(text)


class Origin(StrEnum):
    """How a candidate came into being."""

    INITIAL = "initial"
    """Drawn for generation 0."""
    IMMIGRANT = "immigrant"
    """Drawn for a later generation."""
    CROSSOVER = "crossover"
    """Child of two parents, crossed or copied."""
    LISTED = "listed"
    """Given in a fixed list."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something to be judged, with its place in the search."""

    number: int
    """Computed from (generation, slot), so the order of birth cannot change it; an elite keeps its own."""
    generation: int
    """The one it was born into."""
    subject: Subject
    """What is judged."""
    origin: Origin
    """How it came into the search."""
    parents: tuple[int, ...] = ()
    """Their numbers, two for a crossover, else none."""
    operators: tuple[str, ...] = ()
    """What made and repaired it in words, as journals before schema 3 kept them; never compared."""
    operations: tuple[Operation, ...] | None = None
    """The same as data, in order; None where only words, or nothing, were kept. Never compared."""

    @property
    def words(self) -> tuple[str, ...]:
        """What made and repaired it, in order, for people: as journaled, or made from the data."""
        return self.operators if self.operations is None else words_of(self.operations)

    @property
    def chromosome(self) -> Chromosome:
        """The subject of a candidate that was bred as a chromosome.

        Raises:
            TypeError: it is something else.
        """
        if not isinstance(self.subject, Chromosome):
            raise TypeError(f"candidate {self.number} is no chromosome but '{self.subject}'")
        return self.subject

    def is_as(self, other: "Candidate") -> bool:
        """Whether both were born alike, whatever the words say."""
        mine = (self.number, self.generation, self.subject, self.origin, self.parents)
        return mine == (other.number, other.generation, other.subject, other.origin, other.parents)


@dataclass(frozen=True, slots=True)
class TrialId:
    """Names a trial within its search. A candidate that is trained on, rung by rung, keeps its number."""

    number: int
    """The trial's."""
    until: int | None = None
    """The epochs after which it is judged; None: all of them."""

    @property
    def place(self) -> tuple[int, float]:
        """For sorting: by number, rung after rung, a training to its end last."""
        return self.number, float("inf") if self.until is None else self.until

    def __str__(self) -> str:
        return str(self.number) if self.until is None else f"{self.number} until epoch {self.until}"


@dataclass(frozen=True, slots=True)
class Trial:
    """One training of a candidate."""

    number: int
    """Computed from its place in the search; where each candidate is trained once, the candidate's."""
    candidate: Candidate
    """What is trained."""
    settings: TrainingSettings | None = None
    """How it is trained; None: as the search says."""
    repeat: int = 0
    """Enters the evaluation's seed: 0 during a search, another number for every further training of the
    same network.
    """
    until: int | None = None
    """The epochs after which it is judged; None: all of them."""

    @classmethod
    def of(cls, candidate: Candidate) -> "Trial":
        """The only training of `candidate`, as the search says."""
        return cls(candidate.number, candidate)

    @property
    def id(self) -> TrialId:
        """Its name within the search."""
        return TrialId(self.number, self.until)

    @property
    def subject(self) -> Subject:
        """What is trained."""
        return self.candidate.subject

    def is_as(self, other: "Trial") -> bool:
        """Whether both are the same training of candidates that were born alike."""
        mine = (self.id, self.settings, self.repeat)
        return mine == (other.id, other.settings, other.repeat) and self.candidate.is_as(other.candidate)


def evaluation_seed(search_seed: int, content_key: str, repeat: int = 0) -> int:
    """Seed of an evaluation, 0 to 2^63 - 1: the same network gets the same one wherever it turns up.

    Neither settings nor rung enter it, so that optimizers are compared on equal seeds and a rung continues its training.

    >>> evaluation_seed(0, "abc") == evaluation_seed(0, "abc", repeat=1)
    False
    """
    digest = hashlib.sha256(f"{search_seed}/{content_key}/{repeat}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def trial_key(subject: Subject, settings: TrainingSettings, seed: int, data_key: str, until: int) -> str:
    """Content key of a trial, 32 hexadecimal digits: equal trainings have equal ones, on every machine.

    `seed`: the evaluation's. `until`: epochs after which it is judged.
    """
    parts = (subject.key, _digest(settings), str(seed), data_key, str(until))
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:32]


@lru_cache(maxsize=64)
def _digest(settings: TrainingSettings) -> str:
    return hashlib.sha256(json.dumps(settings.identity(), sort_keys=True).encode()).hexdigest()


def network_of(subject: Subject) -> Network | None:
    """The network that is trialled; None where it is something else."""
    match subject:
        case Chromosome() | Pretrained() | HandMade():
            return subject
        case FeaturesOf(network):
            return network
        case Masks():
            return None
    assert_never(subject)
