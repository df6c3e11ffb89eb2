"""From an exception of Ray to the failure kind of the task it ended: one table over all of `ray.exceptions`.

None of them is raised by a task: an exception inside a task comes back as a `Failure` (see `workers.worker.classify`). These
are the machinery's, so most are WORKER_LOST, retried elsewhere and never held against the chromosome.
"""

from collections.abc import Callable, Mapping
from enum import Enum, auto
from types import MappingProxyType

from evosearch.errors import CannotRunError
from evosearch.evaluation import FailureKind
from workers.worker.classify import LONGEST


class Verdict(Enum):
    """What is no failure kind by itself."""

    ASK_NODE = auto()
    """The process is gone: CRASHED where its node lives, else WORKER_LOST."""
    FATAL = auto()
    """No retry can help: the search cannot run."""


LOST = FailureKind.WORKER_LOST

TABLE: Mapping[str, FailureKind | Verdict] = MappingProxyType(
    {
        "RayError": LOST,
        # the worker's process
        "ActorDiedError": Verdict.ASK_NODE,
        "WorkerCrashedError": Verdict.ASK_NODE,
        "AsyncioActorExit": Verdict.ASK_NODE,
        "RayActorError": LOST,
        "ActorUnavailableError": LOST,  # once the pool has given it up; see `RayPool`
        # memory: Ray's monitor killed it to save the node
        "OutOfMemoryError": FailureKind.OUT_OF_MEMORY,
        # node and network
        "LocalRayletDiedError": LOST,
        "NodeDiedError": LOST,
        "RpcError": LOST,
        "GetTimeoutError": LOST,
        "RaySystemError": LOST,
        "RuntimeEnvSetupError": LOST,
        "OutOfDiskError": LOST,
        "ActorUnschedulableError": LOST,
        "TaskUnschedulableError": LOST,
        # the object store: the reply, or the data, went with a node
        "ObjectStoreFullError": LOST,
        "ObjectLostError": LOST,
        "ObjectFetchTimedOutError": LOST,
        "ObjectFreedError": LOST,
        "ObjectReconstructionFailedError": LOST,
        "OwnerDiedError": LOST,
        "ReferenceCountingAssertionError": LOST,
        "PlasmaObjectNotAvailable": LOST,
        # cancelled or refused by somebody else; this project does neither
        "TaskCancelledError": LOST,
        "PendingCallsLimitExceeded": LOST,
        "ActorPlacementGroupRemoved": LOST,
        "TaskPlacementGroupRemoved": LOST,
        "ActorAlreadyExistsError": LOST,
        "ActorHandleNotFoundError": LOST,
        # parts of Ray that are not used here
        "ObjectRefStreamEndOfStreamError": LOST,
        "StreamingGeneratorReplayInconsistentError": LOST,
        "RayChannelError": LOST,
        "RayChannelTimeoutError": LOST,
        "RayCgraphCapacityExceeded": LOST,
        "RayDirectTransportError": LOST,
        # a bug of ours on the way to a task or back: what was sent could not be read, or not be sent
        "RayTaskError": FailureKind.ERROR,
        "UserCodeException": FailureKind.ERROR,
        "CrossLanguageError": FailureKind.ERROR,
        "UnserializableException": FailureKind.ERROR,
        "OufOfBandObjectRefSerializationException": FailureKind.ERROR,
        # the cluster does not know us
        "AuthenticationError": Verdict.FATAL,
    }
)
"""By the name of the class; a test fails when Ray has one that is not named here."""


def judge(error: Exception, node_lives: Callable[[], bool]) -> FailureKind:
    """The kind of failure that ended a task, or an actor; an error that Ray adds counts as what it derives from.

    Args:
        error: what `ray.get` raised.
        node_lives: whether the node of the actor is up; asked only where it matters.

    Raises:
        CannotRunError: the cluster refuses this driver.
    """
    names = (base.__name__ for base in type(error).__mro__)
    verdict = next((TABLE[name] for name in names if name in TABLE), LOST)
    if isinstance(verdict, FailureKind):
        return verdict
    if verdict is Verdict.FATAL:
        raise CannotRunError(f"the Ray cluster refused this driver: {describe_ray(error)}") from error
    return FailureKind.CRASHED if node_lives() else LOST


def describe_ray(error: Exception) -> str:
    """The line of Ray's message that has the cause: the last one of an actor's death, else the first."""
    lines = str(error).strip().splitlines() or [""]
    cause = lines[-1 if type(error).__name__ == "ActorDiedError" else 0].partition(" Some common causes")[0]
    return f"{type(error).__name__}: {cause.strip()[:LONGEST]}"
