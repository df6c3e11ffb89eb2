"""Studies: what is trained after or beside a search, as searches of their own.

A *retraining* trains the best of a search again and reads the test split, once for each network. The one rule: a study is
a list of trainings for the one driver there is; test images leave it only after the training they judge has ended. What they
answered is compared in `comparison`, and told in a `ComparisonTable`.
"""

from evosearch.studies.comparison import Arm, ArmFigures, Comparison, Reference, compare
from evosearch.studies.comparison_table import (
    ArmFacts,
    ComparisonRow,
    ComparisonTable,
    StudyFacts,
    comparison_table,
    is_trained,
)
from evosearch.studies.dropout import dropout_references, search_keys
from evosearch.studies.intervals import intervals_of, wilson
from evosearch.studies.metrics import Metrics, classification_metrics
from evosearch.studies.narrowing import other_than_default
from evosearch.studies.plans import (
    ArmPlan,
    Basis,
    Common,
    Ended,
    MemberPlan,
    Spent,
    Step,
    member_name,
)
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
)
from evosearch.studies.settings import (
    EVOLVED,
    STUDIES,
    STUDY_PARTS,
    AblationStudy,
    BaselinesStudy,
    BatchNormStudy,
    DropoutArm,
    DropoutStudy,
    LearningRates,
    NamedNetwork,
    StudyKeys,
    StudySettings,
    arm_of,
    dropout_arms,
    is_text,
)
from evosearch.studies.steps import ORIGIN, arms_in_order, steps_of
from evosearch.studies.table import ArmRow, Doubts, MemberRecord, StudyTable, arm_rows, compared, hardware_of
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
    "Basis",
    "BatchNormStudy",
    "Common",
    "Comparison",
    "ComparisonRow",
    "ComparisonTable",
    "Doubts",
    "DropoutArm",
    "DropoutStudy",
    "Ended",
    "FinalReader",
    "LearningRates",
    "MemberPlan",
    "MemberRecord",
    "Metrics",
    "NamedNetwork",
    "Reference",
    "Spent",
    "Step",
    "StudyFacts",
    "StudyKeys",
    "StudySettings",
    "StudyTable",
    "arm_of",
    "arm_rows",
    "arms_in_order",
    "best_reading",
    "classification_metrics",
    "compare",
    "compared",
    "comparison_table",
    "dropout_arms",
    "dropout_references",
    "fetch_winner",
    "final_name",
    "hardware_of",
    "has_given_weights",
    "intervals_of",
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
    "search_keys",
    "steps_of",
    "trained_as",
    "wilson",
]
