"""Storage: the journal of searches, the one thing that must not be lost.

An *event* is a fact of a search with its sequence number; the *journal* holds the events of many searches,
and a *replay* gives them back in order. *Rows* are what readers get: tables that every event updates in its
own transaction, and that can be rebuilt from the events. A *term* counts the drivers of a search; only the
newest one's writes are accepted. To *hold* a search is to own its lock and its newest term. *Artifacts* are
files: pictures, weights, and backups of the journal.

The rule: an event is never changed or removed (only a search that is older than its backup is replaced by that), and
a file that is no journal, or one of a newer version, is never written to. One of an older version is read through a
copy (`opening`) and upgraded as a whole by its first write (`upgrade`); what older versions wrote is read for ever
(`formats`). This room may import `errors`, `permissions`, `genome`, `evaluation` and `search`.
"""

from evosearch.storage.artifacts.predictions import Predictions, pack, unpack
from evosearch.storage.artifacts.probe import StoreProbe
from evosearch.storage.artifacts.store import ArtifactStore
from evosearch.storage.backups.backup import Backup, save_copy
from evosearch.storage.backups.publishing import bring_in, publish_copy
from evosearch.storage.backups.restoring import bring_back
from evosearch.storage.disks import check_space
from evosearch.storage.holding.holder import Held, Onlooker, current_state, take
from evosearch.storage.holding.logbook import JournalLogbook
from evosearch.storage.home import Home, default_folder, home_folder, open_home, search_names
from evosearch.storage.journal.codec import operations_to_json
from evosearch.storage.journal.events import (
    Born,
    Completed,
    Dispatched,
    DriverStarted,
    Event,
    Extended,
    Failed,
    Finished,
    GenerationStarted,
    Interrupted,
    PrecisionResolved,
    ProcessorSeen,
    Recalled,
    Recorded,
    Reopened,
    SearchCreated,
    Stopped,
    TestRead,
    TestReadingBegun,
    TestReadingFailed,
    VerdictReached,
)
from evosearch.storage.journal.header import is_journal
from evosearch.storage.journal.journal import Journal
from evosearch.storage.journal.opening import open_journal, parse_place
from evosearch.storage.journal.rows import (
    EvaluationRow,
    EvaluationStatus,
    GenerationRow,
    LiveCurve,
    LiveRow,
    SearchRow,
    SearchStatus,
    TestReading,
)
from evosearch.storage.names import (
    MOST_OF_RETRAINING,
    WINNER_DOCUMENT,
    WINNER_WEIGHTS,
    check_name,
    check_new_name,
    group_of,
)
from evosearch.storage.removal import delete, what_is_deleted
from evosearch.storage.settings import StorageSettings
from evosearch.storage.urls import files_folder, user_path, without_password

__all__ = [
    "MOST_OF_RETRAINING",
    "WINNER_DOCUMENT",
    "WINNER_WEIGHTS",
    "ArtifactStore",
    "Backup",
    "Born",
    "Completed",
    "Dispatched",
    "DriverStarted",
    "EvaluationRow",
    "EvaluationStatus",
    "Event",
    "Extended",
    "Failed",
    "Finished",
    "GenerationRow",
    "GenerationStarted",
    "Held",
    "Home",
    "Interrupted",
    "Journal",
    "JournalLogbook",
    "LiveCurve",
    "LiveRow",
    "Onlooker",
    "PrecisionResolved",
    "Predictions",
    "ProcessorSeen",
    "Recalled",
    "Recorded",
    "Reopened",
    "SearchCreated",
    "SearchRow",
    "SearchStatus",
    "Stopped",
    "StorageSettings",
    "StoreProbe",
    "TestRead",
    "TestReading",
    "TestReadingBegun",
    "TestReadingFailed",
    "VerdictReached",
    "bring_back",
    "bring_in",
    "check_name",
    "check_new_name",
    "check_space",
    "current_state",
    "default_folder",
    "delete",
    "files_folder",
    "group_of",
    "home_folder",
    "is_journal",
    "open_home",
    "open_journal",
    "operations_to_json",
    "pack",
    "parse_place",
    "publish_copy",
    "save_copy",
    "search_names",
    "take",
    "unpack",
    "user_path",
    "what_is_deleted",
    "without_password",
]
