"""Bench: what the driver, its journal and its queue cost, measured; `make bench` prints the tables.

Every figure of a table comes from one run on one machine, and each is set beside its floor (issue: "One search, end
to end"), beside its target, or beside the same work without what is measured. A benchmark asserts nothing.
"""

from evosearch.bench.journal import measure_journal
from evosearch.bench.overhead import Track
from evosearch.bench.queue import measure_queue
from evosearch.bench.scheduler import QUICK, Report, Size, measure_scheduler
from evosearch.bench.table import Figure, Measure, markdown, measures_markdown

__all__ = [
    "QUICK",
    "Figure",
    "Measure",
    "Report",
    "Size",
    "Track",
    "markdown",
    "measure_journal",
    "measure_queue",
    "measure_scheduler",
    "measures_markdown",
]
