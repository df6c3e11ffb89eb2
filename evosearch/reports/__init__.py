"""Reports: what the records say, in words, tables and pictures.

Everything here reads rows of the journal and returns text, documents or files; nothing is computed that was not
recorded. This room imports no ray and no torch.
"""

from evosearch.reports.comparison_picture import draw_comparison
from evosearch.reports.confirmation import Confirmation, confirmation_lines, confirmation_of
from evosearch.reports.cost import (
    Ahead,
    Cost,
    Estimate,
    Measured,
    StudyCost,
    cost_lines,
    estimate_cost,
    measured,
    search_left,
    time_left,
)
from evosearch.reports.curve import draw_evolution, draw_group
from evosearch.reports.data import data_lines
from evosearch.reports.final_pictures import LEARNING, ROC, draw_learning, draw_roc
from evosearch.reports.group import MeanDeviation, best_member, group_document, group_lines, snapshots_spread
from evosearch.reports.masks import found_mask, in_short, mask_words
from evosearch.reports.outcome import (
    best_figure,
    count_of,
    reading_document,
    reading_lines,
    reading_row,
    readings_lines,
    search_lines,
    winner_lines,
)
from evosearch.reports.results import (
    MemberEvaluation,
    best_first,
    only_best,
    results_csv,
    results_document,
    results_table,
)
from evosearch.reports.selection import (
    selection_document,
    selection_grid,
    selection_lines,
    selection_markdown,
    selection_parts,
    selection_title,
)
from evosearch.reports.status import SearchSnapshot, last_heard, status_document, status_lines, status_table
from evosearch.reports.study import (
    comparison_csv,
    comparison_document,
    comparison_grid,
    comparison_markdown,
    fact_lines,
    legend_lines,
)
from evosearch.reports.study_table import (
    failed_lines,
    study_csv,
    study_document,
    study_grid,
    study_json,
    study_markdown,
    study_notes,
)
from evosearch.reports.words import (
    MEASURES,
    UNJUDGED,
    cells,
    counted,
    describe,
    duration,
    epoch_figures,
    is_unjudged,
    precision_words,
)

__all__ = [
    "LEARNING",
    "MEASURES",
    "ROC",
    "UNJUDGED",
    "Ahead",
    "Confirmation",
    "Cost",
    "Estimate",
    "MeanDeviation",
    "Measured",
    "MemberEvaluation",
    "SearchSnapshot",
    "StudyCost",
    "best_figure",
    "best_first",
    "best_member",
    "cells",
    "comparison_csv",
    "comparison_document",
    "comparison_grid",
    "comparison_markdown",
    "confirmation_lines",
    "confirmation_of",
    "cost_lines",
    "count_of",
    "counted",
    "data_lines",
    "describe",
    "draw_comparison",
    "draw_evolution",
    "draw_group",
    "draw_learning",
    "draw_roc",
    "duration",
    "epoch_figures",
    "estimate_cost",
    "fact_lines",
    "failed_lines",
    "found_mask",
    "group_document",
    "group_lines",
    "in_short",
    "is_unjudged",
    "last_heard",
    "legend_lines",
    "mask_words",
    "measured",
    "only_best",
    "precision_words",
    "reading_document",
    "reading_lines",
    "reading_row",
    "readings_lines",
    "results_csv",
    "results_document",
    "results_table",
    "search_left",
    "search_lines",
    "selection_document",
    "selection_grid",
    "selection_lines",
    "selection_markdown",
    "selection_parts",
    "selection_title",
    "snapshots_spread",
    "status_document",
    "status_lines",
    "status_table",
    "study_csv",
    "study_document",
    "study_grid",
    "study_json",
    "study_markdown",
    "study_notes",
    "time_left",
    "winner_lines",
]
