"""Studies: sequences of ordinary evaluations after or beside a search.

A *retraining* trains the best chromosome anew and reads the test split, once (DESIGN, decision 5). The one rule:
a study gets its workers, its journal and its data as arguments, and test images leave the driver only after the
training they judge has ended.
"""

from evosearch.studies.metrics import Metrics, classification_metrics
from evosearch.studies.retraining import Retraining, retrain_best

__all__ = ["Metrics", "Retraining", "classification_metrics", "retrain_best"]
