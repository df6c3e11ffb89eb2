"""Studies: what is trained after or beside a search, as searches of their own.

A *retraining* trains the best of a search again and reads the test split, once for each network. The one rule: a study is
a list of trainings for the one driver there is; test images leave it only after the training they judge has ended.
"""

from evosearch.studies.metrics import Metrics, classification_metrics
from evosearch.studies.retraining import (
    SEARCHED,
    FinalReader,
    final_name,
    lengthened,
    reading_key,
    retrainings,
)

__all__ = [
    "SEARCHED",
    "FinalReader",
    "Metrics",
    "classification_metrics",
    "final_name",
    "lengthened",
    "reading_key",
    "retrainings",
]
