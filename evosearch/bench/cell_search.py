"""Searches of cells: our own evolution, and what it is held against.

Each begins with the same random cells, and answers with all that it asked for, in order; a cell that it asks for again counts
again. Nothing here was tuned on the table: ours has the settings of the paper's searches, the others have those of their authors.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import count, islice
from typing import TypeAlias, cast

import numpy as np

from evosearch.bench.cells import EDGES, Cell, Landscape
from evosearch.blueprint import ImageShape, Problem
from evosearch.evaluation import Candidate, Origin, Subject, Success, TrainingSettings
from evosearch.genome import SearchSpace
from evosearch.search import EavlSettings, EavlStrategy, SearchContext, SearchState, draw_pairs
from evosearch.search.context import Purpose, stream

EXCHANGED = 0.5
"""Chance of an edge to be exchanged between two parents that are crossed."""
REDRAWN = 0.1
"""Chance of an edge of a child to be drawn anew, where there is mutation: as EVO-CNN's genes."""
POPULATION, SAMPLE = 10, 3
"""Regularised evolution, as NAS-Bench-201's authors ran it."""

Contender: TypeAlias = Callable[[Landscape, int, int], list[Cell]]
"""(landscape, evaluations, seed) -> the cells that it asked for, as many as there are evaluations."""


@lru_cache(maxsize=4096)  # every contender begins with the same ones, on every data set
def random_cell(operations: tuple[str, ...], seed: int, generation: int, slot: int) -> Cell:
    """Each edge with any operation; by the stream that our searches draw the individual in that place from."""
    drawn = stream(seed, generation, Purpose.RANDOM_INDIVIDUAL, slot).integers(len(operations), size=EDGES)
    return Cell(tuple(operations[place] for place in drawn))


@dataclass(frozen=True)
class CellEvolution(EavlStrategy):
    """EAVL's generations, selection, survival and immigrants, unchanged. Its own are random cells, crossover (edges at equal
    positions are exchanged) and mutation; balance and repair have no place here, since all cells are of one length and may be
    trained.
    """

    operations: tuple[str, ...] = ()
    """What an edge may have."""
    redrawn: float = 0.0
    """Chance of an edge of a child to be drawn anew."""

    def _random(self, generation: int, slot: int, origin: Origin) -> Candidate:
        cell = random_cell(self.operations, self.context.seed, generation, slot)
        return Candidate(self._number(generation, slot), generation, _subject(cell), origin)

    def _children(self, state: SearchState) -> tuple[Candidate, ...]:
        generation = state.generation + 1
        wanted = self.settings.born - self.settings.immigrants
        rng = stream(self.context.seed, generation, Purpose.SELECTION)
        scores = [state.scores[member.number] for member in state.members]
        children: list[Candidate] = []
        for pair, places in enumerate(draw_pairs(scores, (wanted + 1) // 2, rng, self.settings.selection)):
            parents = [state.members[place] for place in places]
            rng = stream(self.context.seed, generation, Purpose.CROSSOVER, pair)
            for cell in self._crossed(_cell(parents[0]), _cell(parents[1]), rng):
                slot = len(children)
                children.append(
                    Candidate(
                        self._number(generation, slot),
                        generation,
                        _subject(self._mutated(cell, rng)),
                        Origin.CROSSOVER,
                        (parents[0].number, parents[1].number),
                    )
                )
        return tuple(children[:wanted])

    def _crossed(self, one: Cell, other: Cell, rng: np.random.Generator) -> tuple[Cell, Cell]:
        if rng.random() >= self.settings.crossover_probability:
            return one, other
        exchanged = rng.random(EDGES) < EXCHANGED
        pairs = [
            (b, a) if swap else (a, b)
            for a, b, swap in zip(one.operations, other.operations, exchanged, strict=True)
        ]
        return Cell(tuple(a for a, _ in pairs)), Cell(tuple(b for _, b in pairs))

    def _mutated(self, cell: Cell, rng: np.random.Generator) -> Cell:
        if not self.redrawn:
            return cell
        drawn = rng.integers(len(self.operations), size=EDGES)
        anew = rng.random(EDGES) < self.redrawn
        return Cell(
            tuple(
                self.operations[place] if new else old
                for old, place, new in zip(cell.operations, drawn, anew, strict=True)
            )
        )


def _subject(cell: Cell) -> Subject:
    """To a strategy a subject is something that is equal or not; only who trains or journals it has to know what it is."""
    return cast(Subject, cell)


def _cell(candidate: Candidate) -> Cell:
    return cast(Cell, candidate.subject)


def evolution(landscape: Landscape, evaluations: int, seed: int, *, redrawn: float) -> list[Cell]:
    """As many of the paper's generations as `evaluations` take, the last of them cut short."""
    settings = EavlSettings()
    further = max(0, evaluations - settings.population)
    settings = settings.with_generations(1 + -(-further // settings.born))
    # Of the surroundings cells have the seed alone.
    context = SearchContext(SearchSpace(), Problem(ImageShape(3, 32, 32), 2), TrainingSettings(), seed)
    strategy = CellEvolution(settings, context, landscape.operations, redrawn)
    state, asked = strategy.start(), list[Cell]()
    while len(asked) < evaluations:
        cells = {trial.id: _cell(trial.candidate) for trial in strategy.ask(state)}
        asked += cells.values()
        outcomes = {trial: Success(landscape.fitness[cell] / 100, 0.0) for trial, cell in cells.items()}
        state = strategy.tell(state, outcomes)
    return asked[:evaluations]


def random_search(landscape: Landscape, evaluations: int, seed: int) -> list[Cell]:
    """Any cell, again and again."""
    return list(islice(_random_cells(landscape, seed), evaluations))


def regularised_evolution(landscape: Landscape, evaluations: int, seed: int) -> list[Cell]:
    """The fittest of a few that are drawn from the population has a child, which takes the place of the oldest.

    Source: Real et al., "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019.
    """
    asked = random_search(landscape, min(POPULATION, evaluations), seed)
    population = deque(asked, POPULATION)
    rng = stream(seed, 0, Purpose.SELECTION)
    while len(asked) < evaluations:
        drawn = [population[place] for place in rng.integers(len(population), size=SAMPLE)]
        parent = max(drawn, key=landscape.fitness.__getitem__)
        edge = int(rng.integers(EDGES))
        others = [one for one in landscape.operations if one != parent.operations[edge]]
        child = parent.with_operation(edge, others[rng.integers(len(others))])
        population.append(child)
        asked.append(child)
    return asked


def local_search(landscape: Landscape, evaluations: int, seed: int) -> list[Cell]:
    """To the best neighbour as long as it is better, each time after all of them are known; then from another random cell.

    It asks for no cell twice, unless it draws one. Source: White, Nolen and Savani, "Exploring the Loss Landscape in Neural
    Architecture Search", UAI 2021.
    """
    fitness, known = landscape.fitness, set[Cell]()

    def asked_for() -> Iterator[Cell]:
        for start in _random_cells(landscape, seed):
            here, best = None, start
            known.add(start)
            yield start
            while best != here:
                here = best
                around = list(neighbours_of(here, landscape.operations))
                new = [cell for cell in around if cell not in known]
                known.update(new)
                yield from new
                best = max((here, *around), key=fitness.__getitem__)

    return list(islice(asked_for(), evaluations))


def neighbours_of(cell: Cell, operations: tuple[str, ...]) -> Iterator[Cell]:
    """Those with another operation on one edge."""
    for edge, old in enumerate(cell.operations):
        for operation in operations:
            if operation != old:
                yield cell.with_operation(edge, operation)


def _random_cells(landscape: Landscape, seed: int) -> Iterator[Cell]:
    """The first of them are those of our searches' first generation."""
    return (random_cell(landscape.operations, seed, 0, slot) for slot in count())


OURS = "eavl-cells"
"""What the others are held against."""

CONTENDERS: Mapping[str, Contender] = {
    OURS: partial(evolution, redrawn=0.0),
    "evo-cnn-cells": partial(evolution, redrawn=REDRAWN),
    "random search": random_search,
    "regularised evolution": regularised_evolution,
    "local search": local_search,
}
"""All there are, by the names that the table gives them."""
