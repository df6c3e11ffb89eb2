"""Studies: what is trained after or beside a search, as searches of their own.

A *retraining* trains the best of a search again and reads the test split, once for each network. The one rule: a study is
a list of trainings for the one driver there is; test images leave it only after the training they judge has ended. What they
answered is compared in `comparison`, and told in a `ComparisonTable`.
"""

from evosearch.studies.comparison import Arm, ArmFigures, Comparison, compare
from evosearch.studies.comparison_table import (
    ArmFacts,
    ComparisonRow,
    ComparisonTable,
    StudyFacts,
    UnreadArm,
    comparison_table,
    is_trained,
)
from evosearch.studies.intervals import intervals_of, wilson
from evosearch.studies.metrics import Metrics, classification_metrics
from evosearch.studies.narrowing import other_than_default
from evosearch.studies.predictions import predictions_of
from evosearch.studies.retraining import (
    FinalReader,
    final_name,
    has_given_weights,
    lengthened,
    listed_key,
    protocol_of,
    reading_key,
    repeats_of_readings,
    retrainings,
    trained_as,
    trained_otherwise,
)
from evosearch.studies.settings import (
    EVOLVED,
    STUDIES,
    STUDY_PARTS,
    AblationStudy,
    BaselinesStudy,
    BatchNormStudy,
    LearningRates,
    NamedNetwork,
    StudyKeys,
    StudySettings,
    is_text,
)
from evosearch.studies.steps import (
    ORIGIN,
    ArmPlan,
    Common,
    Ended,
    MemberPlan,
    Spent,
    Step,
    member_name,
    steps_of,
)
from evosearch.studies.table import (
    ArmRow,
    Doubts,
    MemberRecord,
    StudyTable,
    arm_rows,
    compared,
    hardware_of,
    has_ended,
    is_over,
)
from evosearch.studies.winner import best_reading, fetch_winner, is_published, publish_winner

__all__ = [
    "EVOLVED",
    "ORIGIN",
    "STUDIES",
    "STUDY_PARTS",
    "AblationStudy",
    "Arm",
    "ArmFacts",
    "ArmFigures",
    "ArmPlan",
    "ArmRow",
    "BaselinesStudy",
    "BatchNormStudy",
    "Common",
    "Comparison",
    "ComparisonRow",
    "ComparisonTable",
    "Doubts",
    "Ended",
    "FinalReader",
    "LearningRates",
    "MemberPlan",
    "MemberRecord",
    "Metrics",
    "NamedNetwork",
    "Spent",
    "Step",
    "StudyFacts",
    "StudyKeys",
    "StudySettings",
    "StudyTable",
    "UnreadArm",
    "arm_rows",
    "best_reading",
    "classification_metrics",
    "compare",
    "compared",
    "comparison_table",
    "fetch_winner",
    "final_name",
    "hardware_of",
    "has_ended",
    "has_given_weights",
    "intervals_of",
    "is_over",
    "is_published",
    "is_text",
    "is_trained",
    "lengthened",
    "listed_key",
    "member_name",
    "other_than_default",
    "predictions_of",
    "protocol_of",
    "publish_winner",
    "reading_key",
    "repeats_of_readings",
    "retrainings",
    "steps_of",
    "trained_as",
    "trained_otherwise",
    "wilson",
]
