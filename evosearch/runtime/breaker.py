"""The circuit breaker of a node: one that loses worker after worker gets no more work."""

from dataclasses import replace

from evosearch.evaluation import FailureKind, Success
from evosearch.runtime.fleet import Fleet
from evosearch.runtime.pool import PoolEvent, TaskDone, WorkerJoined, WorkerLeft

LOSSES = 3
"""A node that loses so many workers without finishing an evaluation in between is closed."""

COUNTED = frozenset({FailureKind.WORKER_LOST, FailureKind.CRASHED})


def with_pool(fleet: Fleet, event: PoolEvent) -> Fleet:
    """The fleet knowing who is there after `event`, and how often each node has failed."""
    match event:
        case WorkerJoined(worker) if worker.node not in fleet.excluded:
            return replace(fleet, workers={**fleet.workers, worker.name: worker})
        case TaskDone(worker, _, result, leaves):
            losses = {
                n: c for n, c in fleet.losses.items() if n != worker.node or not isinstance(result, Success)
            }
            gone = leaves or worker.node in fleet.excluded
            return replace(_without(fleet, worker.name) if gone else fleet, losses=losses)
        case WorkerLeft(worker, kind):
            fleet = _without(fleet, worker.name)
            if kind not in COUNTED:
                return fleet
            return replace(fleet, losses={**fleet.losses, worker.node: fleet.losses.get(worker.node, 0) + 1})
        case _:
            return fleet


def node_to_close(fleet: Fleet) -> str | None:
    """A node that has failed too often, if another one can go on without it."""
    others = {worker.node for worker in fleet.workers.values()} - fleet.excluded
    failing = [n for n, count in fleet.losses.items() if count >= LOSSES and n not in fleet.excluded]
    return next((node for node in failing if others - {node}), None)


def closed(fleet: Fleet, node: str) -> Fleet:
    """The fleet without `node`: its idle workers are gone at once, busy ones may end what they have."""
    running = fleet.running
    kept = {name: w for name, w in fleet.workers.items() if w.node != node or name in running}
    return replace(fleet, workers=kept, excluded=fleet.excluded | {node})


def _without(fleet: Fleet, worker: str) -> Fleet:
    return replace(fleet, workers={name: w for name, w in fleet.workers.items() if name != worker})
