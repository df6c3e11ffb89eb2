"""What a driver knows of its search that never changes: how candidates become requests, and what they cost."""

from dataclasses import dataclass
from functools import lru_cache

from evosearch.blueprint import Blueprint, ImageShape, Limits, draw_up, training_memory
from evosearch.evaluation import EvaluationRequest, TrainingSettings, evaluation_seed
from evosearch.genome import Chromosome
from evosearch.runtime.costs import Work, work_of
from evosearch.search import Candidate, Strategy


@dataclass(frozen=True)
class Plan:
    """A search as the driver runs it. `name`, `seed` and `data_key` are the search's own."""

    name: str
    seed: int
    strategy: Strategy
    training: TrainingSettings
    limits: Limits
    data_key: str

    def request(self, chromosome: Chromosome, *, repeat: int = 0) -> EvaluationRequest:
        """The evaluation of `chromosome`; its seed depends on the chromosome, not on its number."""
        seed = evaluation_seed(self.seed, chromosome.key, repeat)
        return EvaluationRequest(chromosome, self.training, self.data_key, seed)

    def blueprint(self, candidate: Candidate) -> Blueprint:
        """The candidate's network for this search's images."""
        return draw_up(candidate.chromosome, self.limits.image, self.limits.classes, self.limits.dropout)

    def work(self, candidate: Candidate) -> Work:
        """What the candidate's training has to do, for the cost model."""
        return self._size(candidate)[0]

    def peak(self, candidate: Candidate) -> int:
        """Bytes that the candidate's training is expected to hold at most, the framework's own not counted."""
        return self._size(candidate)[1]

    def _size(self, candidate: Candidate) -> tuple[Work, int]:
        limits, training = self.limits, self.training
        return _size(
            candidate.chromosome, limits.image, limits.classes, training.batch_size, training.optimizer
        )


@lru_cache(maxsize=4096)
def _size(
    chromosome: Chromosome, image: ImageShape, classes: int, batch_size: int, optimizer: str
) -> tuple[Work, int]:
    """Asked for every open candidate at every result; a few numbers each are kept."""
    blueprint = draw_up(chromosome, image, classes)
    return work_of(blueprint), training_memory(blueprint, batch_size, optimizer).total
