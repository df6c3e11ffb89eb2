"""What a driver knows of its search that never changes: how trials become tasks, and what they cost."""

from dataclasses import dataclass
from typing import assert_never

from evosearch.blueprint import NetworkSize, Problem, size_of, training_memory
from evosearch.evaluation import (
    HandMade,
    Masks,
    MasksTask,
    TrainingSettings,
    TrainingTask,
    Trial,
    TrialTask,
    evaluation_seed,
    network_of,
    trial_key,
)
from evosearch.genome import Chromosome
from evosearch.runtime.costs import Work, work_of
from evosearch.search import AnyStrategy, SearchContext


@dataclass(frozen=True, slots=True)
class Size:
    """What a training takes. `work`: for the cost model. `peak`: bytes that it is expected to hold at most, the
    framework's own not counted.
    """

    work: Work
    peak: int


@dataclass(frozen=True)
class Plan:
    """A search as the driver runs it. `name` and `data_key` are the search's own; `context` is what its strategy was
    made in.
    """

    name: str
    strategy: AnyStrategy
    context: SearchContext
    data_key: str

    @property
    def problem(self) -> Problem:
        """Images and classes."""
        return self.context.problem

    @property
    def training(self) -> TrainingSettings:
        """How trials are trained that say nothing of it."""
        return self.context.training

    def settings(self, trial: Trial) -> TrainingSettings:
        """How `trial` is trained."""
        return trial.settings or self.training

    def seed(self, trial: Trial) -> int:
        """Of the evaluation; it depends on what is trained, not on its number."""
        return evaluation_seed(self.context.seed, trial.subject.key, trial.repeat)

    def key(self, trial: Trial) -> str:
        """Equal for trials that train the same."""
        settings = self.settings(trial)
        until = settings.epochs if trial.until is None else trial.until
        return trial_key(trial.subject, settings, self.seed(trial), self.data_key, until)

    def task(self, trial: Trial) -> TrialTask:
        """What a worker is to do for `trial`."""
        subject, settings, seed = trial.subject, self.settings(trial), self.seed(trial)
        match subject:
            case Chromosome() | HandMade():
                return TrainingTask(subject, settings, self.data_key, seed, until=trial.until)
            case Masks():
                return MasksTask(subject, settings, self.data_key, seed)
        assert_never(subject)

    def network_size(self, trial: Trial) -> NetworkSize | None:
        """How big the trial's network is; None where that is not known before it is built."""
        network = network_of(trial.subject)
        if network is None:
            return None
        return size_of(network, self.problem, self.settings(trial).dropout)

    def size(self, trial: Trial) -> Size | None:
        """What the training takes; None where it is not known."""
        size, settings = self.network_size(trial), self.settings(trial)
        if size is None:
            return None
        return Size(work_of(size), training_memory(size, settings.batch_size, settings.optimizer).total)
