"""Rows as a journal gives them."""

from dataclasses import replace

from evosearch.search import Origin
from evosearch.storage import EvaluationRow, SearchRow

DONE = EvaluationRow(
    candidate=7,
    number=7,
    generation=1,
    origin=Origin.CROSSOVER,
    parents=(2, 3),
    operators=("head crossover", "shrink by 2"),
    chromosome="C8 P | F5",
    status="done",
    fitness=0.875,
    failure=None,
    parameters=12_345,
    flops=67_890_123,
    seconds=3.25,
    worker="node-cpu-1",
    attempts=2,
    cached=False,
    reasons=("attempt 1 on node-cpu-2: crashed: killed",),
)
FAILED = replace(
    DONE, number=8, status="failed", fitness=None, failure="diverged", origin=Origin.IMMIGRANT, parents=()
)
RECALLED = replace(DONE, number=9, cached=True, seconds=0.0, worker=None, attempts=0, reasons=())
WAITING = replace(
    DONE, number=10, status="waiting", fitness=None, worker=None, seconds=0.0, attempts=0, reasons=()
)

SEARCH = SearchRow(
    name="pets",
    state="running",
    configuration={},
    environment={"device": "cpu"},
    data_key="data",
    executor="local",
    term=1,
    heartbeat=0.0,
    seconds=100.0,
    generation=2,
    generations=5,
    counts={"waiting": 3, "running": 2, "done": 9, "failed": 1},
    failed={"diverged": 1},
    message="",
)
