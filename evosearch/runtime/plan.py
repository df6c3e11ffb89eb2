"""What a driver knows of its search that never changes: how candidates become tasks, and what they cost."""

from dataclasses import dataclass

from evosearch.blueprint import Blueprint, Limits, draw_up, training_memory
from evosearch.evaluation import TrainingSettings, TrainingTask, evaluation_seed
from evosearch.genome import Chromosome
from evosearch.runtime.costs import Work, work_of
from evosearch.search import Candidate, Strategy


@dataclass(frozen=True, slots=True)
class Size:
    """What a training takes. `work`: for the cost model. `peak`: bytes that it is expected to hold at most, the
    framework's own not counted.
    """

    work: Work
    peak: int


@dataclass(frozen=True)
class Plan:
    """A search as the driver runs it. `name`, `seed` and `data_key` are the search's own."""

    name: str
    seed: int
    strategy: Strategy
    training: TrainingSettings
    limits: Limits
    data_key: str

    def task(self, chromosome: Chromosome, *, repeat: int = 0) -> TrainingTask:
        """The evaluation of `chromosome`; its seed depends on the chromosome, not on its number."""
        seed = evaluation_seed(self.seed, chromosome.key, repeat)
        return TrainingTask(chromosome, self.training, self.data_key, seed)

    def blueprint(self, candidate: Candidate) -> Blueprint:
        """The candidate's network for this search's images."""
        return draw_up(candidate.chromosome, self.limits.image, self.limits.classes, self.limits.dropout)

    def size(self, candidate: Candidate) -> Size:
        """What the candidate's training takes."""
        blueprint = self.blueprint(candidate)
        memory = training_memory(blueprint, self.training.batch_size, self.training.optimizer)
        return Size(work_of(blueprint), memory.total)
