"""`make bench`: measure, and print the Markdown table."""

import os
import platform
import sys
from importlib.metadata import version

from evosearch.bench import markdown, measure_journal, measure_queue

figures = [*measure_queue(), *measure_journal()]
sys.stdout.write(
    f"evosearch {version('evosearch')}, Python {platform.python_version()}, {os.cpu_count()} cores\n\n"
    f"{markdown(figures)}\n"
)
