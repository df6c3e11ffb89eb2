"""What a driver knows of its search that never changes: how trials become tasks, and what they cost."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, assert_never

from evosearch.blueprint import NetworkSize, Problem, size_of, training_memory
from evosearch.evaluation import (
    FeaturesOf,
    FeaturesTask,
    HandMade,
    HandMadeRule,
    Masks,
    MasksTask,
    Measure,
    Precision,
    Prediction,
    PredictionTask,
    Rung,
    Success,
    TrainingSettings,
    TrainingTask,
    Trial,
    TrialTask,
    evaluation_seed,
    network_of,
    trial_key,
)
from evosearch.genome import Chromosome, Pretrained, weights_of
from evosearch.runtime.scheduling.costs import Work, work_of
from evosearch.search import AnyStrategy, Halving, OverFeatures, SearchContext, rung_before
from evosearch.storage import PrecisionResolved


@dataclass(frozen=True, slots=True)
class Size:
    """What a training takes."""

    work: Work
    """For the cost model."""
    peak: int
    """Bytes that it is expected to hold at most, the framework's own not counted."""


@dataclass(frozen=True, slots=True)
class ReadingName:
    """Names a reading of the test split."""

    key: str
    """Within the search."""
    number: int
    """Of the candidate, in the search that it was found by."""
    epochs: int
    """Of its training."""
    seed: int
    """Of its training."""
    answering: str = ""
    """How the network answers, where that is not with the more probable class: trainings that differ by it alone are two, since
    each reads once."""


class SplitReader(Protocol):
    """How the networks of a list read the test split, each once its training has ended."""

    @property
    def shared(self) -> bool:
        """Whether every machine reaches the weights that another one left."""
        ...

    def name(self, plan: "Plan", trial: Trial) -> ReadingName:
        """Names the reading of `trial`; another training of the same network has another one."""
        ...

    def weights(self, plan: "Plan", trial: Trial, term: int, attempt: int) -> str:
        """Where an attempt leaves its weights, relative to the search's own folder: a late one overwrites no other."""
        ...

    def place(self, weights: str) -> str:
        """The same for a worker: a path, or the URL of an artifact store."""
        ...

    def task(self, plan: "Plan", trial: Trial, weights: str) -> PredictionTask:
        """The reading itself."""
        ...

    def measure(
        self, plan: "Plan", trial: Trial, trained: Success, prediction: Prediction
    ) -> Mapping[str, Any]:
        """What the reading of `trial` gave, as plain JSON values; its training's seed is that of what is drawn by chance."""
        ...

    def keep(self, plan: "Plan", trial: Trial, prediction: Prediction) -> Mapping[str, Any]:
        """The prediction by `trial` as `TestRead` has it."""
        ...

    @property
    def test_key(self) -> str:
        """Names the split."""
        ...


FEATURES = "features"
"""Folder of a group's own where the features are that its searches keep."""


def start_file(digest: str) -> str:
    """What the file of weights with this sha256 is called."""
    return f"{digest}.safetensors"


@dataclass(frozen=True)
class Plan:
    """A search as the driver runs it."""

    name: str
    """The search's own."""
    strategy: AnyStrategy
    """What decides which trials are trained."""
    context: SearchContext
    """What the strategy was made in."""
    data_key: str
    """Names the search's data."""
    reader: SplitReader | None = None
    """Of a list whose networks read the test split; None everywhere else."""
    measure: Measure = "accuracy"
    """What the strategy goes by."""
    hand_made: HandMadeRule = "kaiming"
    """How hand-made networks are built."""
    sizes: Mapping[str, NetworkSize] = field(default_factory=dict)
    """Of networks that only building them tells how big they are, by their texts."""
    starts: str | None = None
    """Where the weights are that networks start from, files named by their sha256: a folder, or the URL of an artifact store."""
    features: OverFeatures | None = None
    """Of a search that keeps features, or of masks over them: whose they are, and how they are made."""
    kept_features: str | None = None
    """Where kept features are, the same for all searches of a group: a folder, or the URL of an artifact store."""
    halving: Halving | None = None
    """At which epochs its trainings wait for each other; None: they go to their end."""
    precision: Precision | None = None
    """What `auto` means where settings say it; None: nobody has decided."""

    def at(self, decided: PrecisionResolved | None) -> "Plan":
        """The plan once it is known what `auto` means."""
        if decided is None or decided.precision == self.precision:
            return self
        return replace(self, precision=decided.precision)

    @property
    def problem(self) -> Problem:
        """Images and classes."""
        return self.context.problem

    @property
    def training(self) -> TrainingSettings:
        """How trials are trained that say nothing of it."""
        return self.context.training.at(self.precision)

    def settings(self, trial: Trial) -> TrainingSettings:
        """How `trial` is trained."""
        return (trial.settings or self.context.training).at(self.precision)

    def seed(self, trial: Trial) -> int:
        """Of the evaluation; it depends on what is trained, not on its number. Of masks it is that of the features which they are
        laid over: those of every generation are trained by equal chance, so that their losses can be compared.
        """
        subject = trial.subject
        same = subject.features if isinstance(subject, Masks) else None
        return evaluation_seed(self.context.seed, same or subject.key, trial.repeat)

    def key(self, trial: Trial) -> str:
        """Equal for trials that train the same."""
        settings = self.settings(trial)
        until = settings.epochs if trial.until is None else trial.until
        key = trial_key(trial.subject, settings, self.seed(trial), self.data_key, until)
        if self.reader is not None and (answering := self.reader.name(self, trial).answering):
            return f"{key}/{answering}"
        # A loss belongs to the generation that the mask was trained in: none is recalled.
        return f"{key}/{trial.number}" if isinstance(trial.subject, Masks) else key

    def task(self, trial: Trial, term: int = 0, attempt: int = 1) -> TrialTask:
        """What a worker is to do for `trial`; `term` and `attempt` name what it leaves behind."""
        subject, settings, seed = trial.subject, self.settings(trial), self.seed(trial)
        match subject:
            case Chromosome() | Pretrained() | HandMade():
                kept, start = self._weights(trial, term, attempt), self._start(weights_of(subject))
                how = (kept, trial.until, None, start, self.hand_made, self._rung(trial))
                return TrainingTask(subject, settings, self.data_key, seed, *how)
            case FeaturesOf():
                return self._recipe(self._over_features)
            case Masks(features=None):
                return MasksTask(subject, settings, self.data_key, seed)
            case Masks():
                over = self._over_features
                return MasksTask(subject, settings, self.data_key, seed, self._recipe(over), over.rule)
        assert_never(subject)

    def _rung(self, trial: Trial) -> Rung | None:
        if self.halving is None:
            return None
        return Rung(self.name, trial.candidate.generation, rung_before(self.halving, trial.id))

    @property
    def _over_features(self) -> OverFeatures:
        if self.features is None:
            raise TypeError(f"nothing says how the features are made that {self.name!r} asks for")
        return self.features

    def _recipe(self, over: OverFeatures) -> FeaturesTask:
        """How the features are made, which is the same in the search that keeps them and in those of masks over them. The file is
        named by all that decides its content.
        """
        settings, subject = over.pretraining(self.training), over.subject
        seed = evaluation_seed(self.context.seed, subject.key)
        key = trial_key(subject, settings, seed, self.data_key, settings.epochs)
        name = hashlib.sha256(f"{key}/{over.sample!r}/{self.hand_made}".encode()).hexdigest()[:32]
        place = f"{self.kept_features or FEATURES}/{name}.safetensors"
        about = (self.data_key, seed, over.sample, place, self.hand_made)
        return FeaturesTask(subject.network, settings, *about)

    def _weights(self, trial: Trial, term: int, attempt: int) -> str | None:
        if self.reader is None:
            return None
        return self.reader.place(self.reader.weights(self, trial, term, attempt))

    def _start(self, digest: str | None) -> str | None:
        if digest is None or self.starts is None:
            return None
        return f"{self.starts}/{start_file(digest)}"

    def network_size(self, trial: Trial) -> NetworkSize | None:
        """How big the trial's network is; None where that is not known before it is built."""
        network = network_of(trial.subject)
        if network is None:
            return None
        found = size_of(network, self.problem, self.settings(trial).dropout)
        return self.sizes.get(str(network)) if found is None else found

    def size(self, trial: Trial) -> Size | None:
        """What the training takes; None where it is not known."""
        size, settings = self.network_size(trial), self.settings(trial)
        if size is None:
            return None
        work, peak = work_of(size), training_memory(size, settings.batch_size, settings.optimizer).total
        part = self._part(trial, settings)
        return Size(work if part == 1 else tuple(part * value for value in work), peak)

    def _part(self, trial: Trial, settings: TrainingSettings) -> float:
        """What a trial takes of a whole training of its network."""
        if isinstance(trial.subject, FeaturesOf):  # of fewer images and epochs than the trainings beside it
            return self._over_features.sample * settings.epochs / self.training.epochs
        if self.halving is None:
            return 1.0
        until = settings.epochs if trial.until is None else trial.until
        return (until - rung_before(self.halving, trial.id)) / settings.epochs
