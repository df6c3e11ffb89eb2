"""Bench: what the driver and its journal cost, measured; `make bench` prints the table.

Every figure of a table comes from one run on one machine, and each is set beside its floor (issue: "One search, end
to end") or beside the same work without what is measured. A benchmark asserts nothing.
"""

from evosearch.bench.journal import measure_journal
from evosearch.bench.queue import measure_queue
from evosearch.bench.table import Figure, markdown

__all__ = ["Figure", "markdown", "measure_journal", "measure_queue"]
