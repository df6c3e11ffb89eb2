"""A driver for tests to kill: starts two workers, keeps them busy, prints their process ids, and waits."""

import psutil

from evosearch.testing.evaluators import FormulaEvaluator
from evosearch.testing.pool_contract import joined, ticket, tiny_data, training_task
from workers.process_pool.pool import ProcessPool
from workers.slots import Slot

pool = ProcessPool(FormulaEvaluator(seconds=600), tiny_data(), [Slot("cpu", 1)] * 2)
pool.start()
for worker in joined(pool, 2):
    pool.submit(worker, ticket(0), training_task())
print(*(child.pid for child in psutil.Process().children()), flush=True)  # noqa: T201 - its one result
pool.poll(600)
