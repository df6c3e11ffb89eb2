"""A retraining without I/O: its plan, with a test split drawn from a seed."""

from dataclasses import replace

import numpy as np

from evosearch.data import Split
from evosearch.runtime import Plan
from evosearch.search import FixedListSettings
from evosearch.studies import FinalReader, retrainings
from tests.runtime.small_search import make_plan

NETWORK = "C4 C5 P | F6"


def split(count, seed):
    rng = np.random.default_rng(seed)
    return Split(rng.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8), np.arange(count) % 2)


TEST = split(6, 2)


def final_plan(*repeats, epochs=30, shared=False, seed=0) -> Plan:
    searched = make_plan(seed=seed)
    training = replace(searched.training, epochs=epochs)
    context = replace(searched.context, training=training)
    settings = FixedListSettings(trials=retrainings(NETWORK, 5, repeats))
    reader = FinalReader(TEST, ("no", "yes"), "/home/small", shared, settings.trials, test_key="test")
    return Plan("small/final", settings.make(context), context, "data", reader)
