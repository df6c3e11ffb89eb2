"""What a driver knows of its search that never changes: how candidates become requests, and what they cost."""

from dataclasses import dataclass
from functools import cache

from evosearch.blueprint import Blueprint, ImageShape, Limits, draw_up
from evosearch.evaluation import EvaluationRequest, TrainingSettings, evaluation_seed
from evosearch.genome import Chromosome
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

    def cost(self, candidate: Candidate) -> int:
        """How long the candidate's training takes compared with others: its forward FLOPs."""
        return _flops(candidate.chromosome, self.limits.image, self.limits.classes)


@cache
def _flops(chromosome: Chromosome, image: ImageShape, classes: int) -> int:
    """Asked for every open candidate at every result; one number each is kept."""
    return draw_up(chromosome, image, classes).flops
