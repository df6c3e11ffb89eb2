"""What a journal of 10,000 evaluations costs those who come to it: a resume, and a reader."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from evosearch.bench.search import make_plan, run_searches
from evosearch.bench.table import Figure
from evosearch.importing import child_environment
from evosearch.testing import FormulaEvaluator, ScriptedPool

POPULATION, GENERATIONS, ELITES = 120, 100, 20  # 120 + 99 x 100 = 10,020 evaluations

PROBE = """
import json, sys, time
from pathlib import Path
from evosearch.bench.memory import resident
from evosearch.bench.search import NAME, make_plan
from evosearch.runtime import replay
from evosearch.storage import open_journal
home, what = Path(sys.argv[1]), sys.argv[2]
begun = time.perf_counter()
with open_journal(home / "journal.db", must_exist=True) as journal:
    if what == "resume":
        plan = make_plan(*map(int, sys.argv[3:6]))
        state = replay(plan, (recorded.event for recorded in journal.replay(NAME)))
        assert plan.strategy.finished(state.search)
    else:
        assert journal.find(NAME) and journal.best(NAME) and journal.searches()
seconds = time.perf_counter() - begun
print(json.dumps([seconds, resident("VmHWM")]))
"""
"""Run in a process of its own, so that its memory is only its own."""


def measure_journal() -> list[Figure]:
    """Write the journal with a real driver, then come to it in fresh processes."""
    plan = make_plan(POPULATION, GENERATIONS, ELITES)
    count = plan.strategy.evaluations
    with TemporaryDirectory() as folder:
        home = Path(folder)
        pool = ScriptedPool(FormulaEvaluator())
        pool.start()
        written = run_searches([plan], pool, home)
        size = (home / "journal.db").stat().st_size / 2**20
        seconds, mebibytes = _probe(home, "resume", POPULATION, GENERATIONS, ELITES)
        looked, _ = _probe(home, "status")
    return [
        Figure(f"writing a journal of {count:,} evaluations, per evaluation", written / count * 1e3, "ms"),
        Figure("its size", size, "MiB"),
        Figure("replaying it for a resume", seconds, "s", 10.0),
        Figure("memory of the process that does", mebibytes, "MiB", 500.0),
        Figure("what `status` reads of it", looked, "s", 0.5),
    ]


def _probe(home: Path, what: str, *arguments: int) -> tuple[float, float]:
    command = [sys.executable, "-P", "-c", PROBE, str(home), what, *map(str, arguments)]
    env = {**os.environ, **child_environment()}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)  # noqa: S603 - our own program
    seconds, mebibytes = json.loads(done.stdout)
    return seconds, mebibytes
