"""Reports: what the records say, in words, tables and pictures.

Everything here reads rows of the journal and returns text, documents or files; nothing is computed that was not
recorded. This room imports no ray and no torch.
"""

from evosearch.reports.cost import Cost, cost_lines, estimate_cost
from evosearch.reports.curve import draw_evolution
from evosearch.reports.data import data_lines
from evosearch.reports.estimate import seconds_left
from evosearch.reports.group import Spread, best_member, group_document, group_lines, standings_spread
from evosearch.reports.outcome import reading_document, reading_lines, search_lines
from evosearch.reports.results import (
    MemberEvaluation,
    best_first,
    results_csv,
    results_document,
    results_table,
)
from evosearch.reports.status import Standing, last_heard, status_document, status_lines, status_table
from evosearch.reports.words import counted, describe, duration

__all__ = [
    "Cost",
    "MemberEvaluation",
    "Spread",
    "Standing",
    "best_first",
    "best_member",
    "cost_lines",
    "counted",
    "data_lines",
    "describe",
    "draw_evolution",
    "duration",
    "estimate_cost",
    "group_document",
    "group_lines",
    "last_heard",
    "reading_document",
    "reading_lines",
    "results_csv",
    "results_document",
    "results_table",
    "search_lines",
    "seconds_left",
    "standings_spread",
    "status_document",
    "status_lines",
    "status_table",
]
