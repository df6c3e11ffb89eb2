"""`make bench`: measure, and print a Markdown table; `python -m evosearch.bench scheduler` prints the scheduler's, and
`python -m evosearch.bench steps` that of a driver's steps.
"""

import os
import platform
import sys
from importlib.metadata import version

from evosearch.bench.journal import measure_journal
from evosearch.bench.queue import measure_queue
from evosearch.bench.scheduler import Size, measure_scheduler
from evosearch.bench.steps import Steps, measure_steps, to_markdown
from evosearch.bench.table import markdown


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _table() -> str:
    if sys.argv[1:] == ["scheduler"]:
        return measure_scheduler(Size(), _tell).to_markdown()
    if sys.argv[1:] == ["steps"]:
        return to_markdown(measure_steps(Steps(), _tell))
    figures = [*measure_queue(), *measure_journal()]
    here = f"evosearch {version('evosearch')}, Python {platform.python_version()}, {os.cpu_count()} cores"
    return f"{here}\n\n{markdown(figures)}"


sys.stdout.write(f"{_table()}\n")
