"""Workers: what runs on a machine that trains, and how a driver reaches it.

A *worker* is a process that holds the data on one device and evaluates one network at a time. A *slot* is room for
one worker at a time, a *pool* keeps every slot filled and reports who joined, who left and what is done. There are
two: processes of this machine, and Ray actors. No policy lives here: budgets, order and retries are
`evosearch.runtime`'s. This is the only room that imports ray, and only where the Ray pool is chosen.
"""

from workers.executors import NO_GPU, make_pool, train_on
from workers.measuring import Timed, measure_on, time_trainings
from workers.sizing import Unmeasured, measure_sizes
from workers.slots import driver_trouble

__all__ = [
    "NO_GPU",
    "Timed",
    "Unmeasured",
    "driver_trouble",
    "make_pool",
    "measure_on",
    "measure_sizes",
    "time_trainings",
    "train_on",
]
