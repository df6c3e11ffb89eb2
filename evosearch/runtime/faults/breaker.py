"""The circuit breaker of a node: one that loses worker after worker gets no more work.

What is counted are incidents, not workers: those that one incident took along, and a candidate that brings down one
process after another, count once. A node that goes away as a whole is not sick for that: it gets no work while it is
gone, and may well do it when it is back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import assert_never

from evosearch.evaluation import Failure, FailureKind
from evosearch.runtime.faults.policy import policy_of
from evosearch.runtime.frozen import having, without
from evosearch.runtime.machine.fleet import Fleet, Losses, TaskName
from evosearch.runtime.pool import (
    PoolChanged,
    PoolEvent,
    TaskDone,
    Worker,
    WorkerJoined,
    WorkerLeft,
    WorkerProgressed,
)

LOSSES = 3
"""A node that loses workers so many times without finishing an evaluation in between is closed."""


def with_pool(fleet: Fleet, event: PoolEvent, task: TaskName | None) -> Fleet:
    """The fleet knowing who is there after `event`, and how often each node has failed.

    `task`: search and trial of what the event's worker had to do before it; None where it was idle.
    """
    match event:
        case WorkerJoined(worker):
            if worker.node in fleet.excluded:
                return fleet
            return replace(fleet, workers=having(fleet.workers, worker.name, worker))
        case TaskDone(worker, _, result, leaves):
            gone = leaves or worker.node in fleet.excluded or worker.name in fleet.turned_away
            if not isinstance(result, Failure) and task is not None:
                fleet = replace(
                    fleet,
                    losses=without(fleet.losses, worker.node),
                    shunned=without(fleet.shunned, task),
                    suspects=fleet.suspects - {task},
                )
            return _leave(fleet, worker) if gone else fleet
        case WorkerLeft(worker, kind, _, node_lost):
            known = fleet.losses.get(worker.node, Losses())
            present = frozenset(n for n, other in fleet.workers.items() if other.node == worker.node)
            fleet = _leave(fleet, worker)
            if task is None:  # it was dismissed, or went with its node
                return fleet
            # what was lost with its GPU says nothing against the machine
            by_machine = kind is FailureKind.WORKER_LOST and not worker.mps
            devices = (worker.device,) * (2 if by_machine else 1)
            shunned = (*fleet.shunned.get(task, ()), *devices)
            fleet = replace(fleet, shunned=having(fleet.shunned, task, shunned))
            of_worker = policy_of(kind).of_workers and not node_lost
            if not of_worker or worker.name in known.witnesses or task in known.tasks:
                return fleet
            counted = Losses(known.count + 1, present, known.tasks | {task})
            return replace(fleet, losses=having(fleet.losses, worker.node, counted))
        case WorkerProgressed() | PoolChanged():
            return fleet
    assert_never(event)


def claims(fleet: Fleet, events: Iterable[object]) -> Mapping[str, WorkerLeft]:
    """Of those that died together on a GPU in the middle of their tasks, who reported the error by its own process: by name, its
    end as it counts. These tasks are to run alone next.

    CUDA tells all of them of the error, without a word of whose it was. One that reports it has crashed; of several the
    guilty one is not known, and all are lost.
    """
    by_device: dict[str, list[WorkerLeft]] = {}
    done = set[Worker]()
    for event in events:
        if isinstance(event, TaskDone):
            done.add(event.worker)
        if not isinstance(event, WorkerLeft) or not event.worker.mps or event.node_lost:
            continue
        if event.worker not in done and fleet.task_of(event.worker):
            by_device.setdefault(event.worker.device, []).append(event)
    found: dict[str, WorkerLeft] = {}
    for together in by_device.values():
        crashed = [event for event in together if event.kind is FailureKind.CRASHED]
        kind = FailureKind.CRASHED if len(crashed) == 1 else FailureKind.WORKER_LOST
        if len(together) > 1:
            found |= {event.worker.name: replace(event, kind=kind) for event in crashed}
    return found


def node_to_close(fleet: Fleet) -> str | None:
    """A node that has failed too often, if another one can go on without it."""
    failing = [n for n, one in fleet.losses.items() if one.count >= LOSSES and n not in fleet.excluded]
    if not failing:
        return None
    others = {worker.node for worker in fleet.workers.values()} - fleet.excluded
    return next((node for node in failing if others - {node}), None)


def closed(fleet: Fleet, node: str) -> Fleet:
    """The fleet without `node`: its idle workers are gone at once, busy ones may end what they have."""
    running = fleet.running
    kept = {name: w for name, w in fleet.workers.items() if w.node != node or name in running}
    return replace(fleet, workers=kept, excluded=fleet.excluded | {node})


def _leave(fleet: Fleet, worker: Worker) -> Fleet:
    return replace(fleet, workers=without(fleet.workers, worker.name))
