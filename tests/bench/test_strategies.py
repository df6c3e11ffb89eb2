"""Contenders on tables of cells, and what is computed of their regrets."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evosearch.bench.cell_search import (
    CONTENDERS,
    OURS,
    POPULATION,
    CellEvolution,
    evolution,
    local_search,
    neighbours_of,
    regularised_evolution,
)
from evosearch.bench.cells import Cell, Landscape
from evosearch.bench.strategies import Compared, Effort, mean_and_half, measure_strategies, regrets_of
from evosearch.blueprint import ImageShape, Problem
from evosearch.errors import InputError
from evosearch.evaluation import Origin, Success, TrainingSettings
from evosearch.genome import SearchSpace
from evosearch.search import EavlSettings, SearchContext
from evosearch.search import eavl as our_evolution
from tests.bench.tables import CELLS, OPERATIONS, slope, written

EVERY = pytest.mark.parametrize("name", CONTENDERS)


@EVERY
def test_a_contender_asks_as_often_as_it_may_and_its_seed_decides(name: str) -> None:
    search, landscape = CONTENDERS[name], slope()
    asked = search(landscape, 120, 3)
    assert len(asked) == 120
    assert asked == search(landscape, 120, 3)
    assert asked != search(landscape, 120, 4)


@EVERY
def test_a_smaller_budget_is_the_first_part_of_a_larger_one(name: str) -> None:
    search, landscape = CONTENDERS[name], slope()
    longest = search(landscape, 810, 0)
    for budget in (1, 50, 51, 90, 200):
        assert search(landscape, budget, 0) == longest[:budget]


def test_all_begin_with_the_same_cells() -> None:
    starts = {name: search(slope(), 50, 7) for name, search in CONTENDERS.items()}
    assert starts[OURS] == starts["evo-cnn-cells"] == starts["random search"]
    assert starts["regularised evolution"][:POPULATION] == starts[OURS][:POPULATION]
    assert starts["local search"][0] == starts[OURS][0]


def test_equal_cells_are_one_to_our_survival() -> None:
    """The 40 children and immigrants of the second generation and the 10 elites, which are distinct."""
    state = generation_one(redrawn=0.0)
    survivors = state.members[:10]
    assert len({str(one.subject) for one in survivors}) == 10
    assert {one.generation for one in survivors} == {0}


def generation_one(redrawn: float):
    """The state in which it begins."""
    context = SearchContext(SearchSpace(), Problem(ImageShape(3, 32, 32), 2), TrainingSettings(), 0)
    strategy, landscape = CellEvolution(EavlSettings(), context, OPERATIONS, redrawn), slope()
    state = strategy.start()
    fitness = {trial.id: landscape.fitness[trial.subject] / 100 for trial in strategy.ask(state)}
    return strategy.tell(state, {trial: Success(one, 0.0) for trial, one in fitness.items()})


def foreign_edges(redrawn: float) -> int:
    """How many edges of the children of generation 1 have an operation that neither parent has there."""
    state = generation_one(redrawn)
    first = dict(enumerate(CONTENDERS["random search"](slope(), 50, 0)))
    found = 0
    for child in (one for one in state.members if one.origin is Origin.CROSSOVER):
        parents = [first[number].operations for number in child.parents]
        for edge, operation in enumerate(child.subject.operations):
            found += operation not in {parent[edge] for parent in parents}
    return found


def test_children_have_their_parents_edges_at_equal_positions_but_for_redrawn_ones() -> None:
    assert foreign_edges(0.0) == 0
    assert foreign_edges(0.1) > 0


def test_the_two_children_of_a_pair_share_out_their_parents_edges_by_halves() -> None:
    children = [one for one in generation_one(0.0).members if one.origin is Origin.CROSSOVER]
    first = CONTENDERS["random search"](slope(), 50, 0)
    exchanged, differing = 0, 0
    for one, other in zip(children[::2], children[1::2], strict=True):
        parents = [first[number].operations for number in one.parents]
        assert one.parents == other.parents
        for edge in range(6):
            found = [one.subject.operations[edge], other.subject.operations[edge]]
            assert sorted(found) == sorted(parent[edge] for parent in parents)
            differing += parents[0][edge] != parents[1][edge]
            exchanged += found != [parent[edge] for parent in parents]
    assert 0.25 * differing < exchanged < 0.65 * differing  # half, of the nine in ten pairs that are crossed


def all_alike(scores, selection="squared"):
    """In place of selection: everyone is as good a parent."""
    return np.full(len(scores), 1 / len(scores))


def the_first(members, scores, count):
    """In place of survival: whoever stands first."""
    return tuple(members)[:count]


def same_cell(strategy, generation, *, real=our_evolution._immigrants):
    """In place of immigrants: one cell again and again."""
    return tuple(replace(one, subject=CELLS[0]) for one in real(strategy, generation))


@pytest.mark.parametrize(
    ("place", "other"),
    [
        ("evosearch.search.selection.parent_probabilities", all_alike),
        ("evosearch.search.eavl.elites", the_first),
        ("evosearch.search.eavl._immigrants", same_cell),
    ],
)
def test_selection_survival_and_immigrants_are_those_of_our_searches(monkeypatch, place, other) -> None:
    before = {name: search(slope(), 200, 0) for name, search in CONTENDERS.items()}
    monkeypatch.setattr(place, other)
    changed = {name for name, search in CONTENDERS.items() if search(slope(), 200, 0) != before[name]}
    assert changed == {OURS, "evo-cnn-cells"}


def test_regularised_evolution_breeds_from_its_youngest_by_one_edge() -> None:
    asked = regularised_evolution(slope(), 100, 0)
    for place in range(POPULATION, 100):
        around = {
            near for one in asked[place - POPULATION : place] for near in neighbours_of(one, OPERATIONS)
        }
        assert asked[place] in around


def test_local_search_climbs_to_the_top_by_the_best_neighbour_and_asks_for_none_twice() -> None:
    asked = local_search(slope(), 20, 0)
    start, *around = asked[:7]
    assert set(around) == set(neighbours_of(start, OPERATIONS))
    step = max(around, key=slope().fitness.__getitem__)
    assert set(asked[7:12]) == set(neighbours_of(step, OPERATIONS)) - {start}
    whole = local_search(slope(), 6 * 6 + 1, 0)
    assert Cell(("conv",) * 6) in whole
    assert len(set(asked)) == len(asked)


def test_a_search_stands_by_the_first_of_the_fittest_that_it_asked_for() -> None:
    a, b, c, d = CELLS[:4]
    landscape = Landscape("four", {a: 90, b: 80, c: 90, d: 10}, {a: 70, b: 75, c: 60, d: 1})
    regrets = regrets_of([d, b, c, a], landscape, (1, 2, 3, 4))
    assert regrets.tolist() == [[80, 74], [10, 0], [0, 15], [0, 15]]


def test_an_interval_is_student_s() -> None:
    mean, half = mean_and_half(np.array([[0.0, 5.0], [2.0, 5.0]]))
    assert mean.tolist() == [1, 5]
    assert half.tolist() == pytest.approx([12.7062, 0], abs=1e-4)


def test_differences_are_taken_repeat_by_repeat() -> None:
    ours, other = np.array([[[1.0, 2.0]], [[3.0, 4.0]]]), np.array([[[2.0, 2.0]], [[4.0, 3.0]]])
    compared = Compared("x", (0.0,), {OURS: ours, "random search": other})
    assert {name: one.tolist() for name, one in compared.less_ours().items()} == {
        "random search": [[[1, 0]], [[1, -1]]]
    }


def test_a_report_has_every_contender_on_every_data_set_in_the_form_that_the_page_describes(
    tmp_path: Path,
) -> None:
    file = written(tmp_path / "table.csv")
    told: list[str] = []
    effort = Effort(repeats=3, budgets=(10, 60), seed=5)
    report = measure_strategies(file, effort, told.append)
    assert told == ["repeat 1 of 3"]
    document = report.to_json()
    assert document == measure_strategies(file, effort, told.append).to_json()
    assert (document["table"]["cells"], document["table"]["operations"]) == (64, list(OPERATIONS))
    assert list(document["data_sets"]) == ["CIFAR-10", "CIFAR-100", "ImageNet16-120"]
    one = document["data_sets"]["CIFAR-100"]
    assert (one["fitness"], one["judge"]) == ("c100_val_12ep", "c100_test_200ep")
    assert one["fittest"] == {"judge": [0.0]}
    assert list(one["contenders"]) == list(CONTENDERS)
    assert list(one["less eavl-cells"]) == list(CONTENDERS)[1:]
    found = one["contenders"]["random search"]["judge"]
    assert [len(found[key]) for key in ("mean", "low", "high")] == [2, 2, 2]
    assert found["low"][0] <= found["mean"][0] <= found["high"][0]
    lines = report.to_markdown().splitlines()
    assert lines[0].endswith(", 64 cells, 3 repeats, seed 5")
    assert lines[2].startswith("| data set | contender | fitness, 10 | fitness, 60 | judge, 10 | judge, 60 |")
    assert len([line for line in lines if line.startswith("| CIFAR-10 |")]) == 2 * len(CONTENDERS)
    bound = next(line for line in lines if line.startswith("| CIFAR-10 | the fitness's own best"))
    assert bound.endswith("| 0.00 | 0.00 | 0.00 | 0.00 |")


def test_figures_of_the_document_are_those_of_the_runs(tmp_path: Path) -> None:
    """Cell n of the made table has fitness and judge of equal order: both regrets are 63 - n."""
    report = measure_strategies(written(tmp_path / "table.csv"), Effort(repeats=2, budgets=(20,)), print)
    (mean,) = report.to_json()["data_sets"]["CIFAR-10"]["contenders"][OURS]["judge"]["mean"]
    landscape = Landscape("x", {cell: float(n) for n, cell in enumerate(CELLS)}, {})
    runs = [evolution(landscape, 20, seed, redrawn=0.0) for seed in (0, 1)]
    assert mean == np.mean([63 - max(map(CELLS.index, run)) for run in runs])


def test_more_evaluations_than_cells_and_too_few_repeats_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "table.csv")
    with pytest.raises(InputError, match=r"--budgets 65: --table .* has 64 cells; ask for no more"):
        measure_strategies(file, Effort(budgets=(10, 65)), print)
    with pytest.raises(InputError, match=r"--repeats 1: it must be from 2 to 10,000"):
        Effort(repeats=1)
