"""Which free worker takes which candidate: longest first, one task per worker, alone where that is due."""

from collections.abc import Sequence

from evosearch.runtime.plan import Plan
from evosearch.runtime.policy import must_run_alone
from evosearch.runtime.pool import Worker
from evosearch.runtime.state import DriverState
from evosearch.search import Candidate


def assignments(plan: Plan, state: DriverState) -> tuple[tuple[Worker, Candidate], ...]:
    """What to dispatch now.

    A candidate that must run alone waits until every worker of one device is free, and that device takes
    nothing else until it has ended: the others' wait is what "alone" costs.
    """
    if len(state.running) == len(state.workers):
        return ()
    closed = {state.workers[name].device for name, number in state.running.items() if _alone(state, number)}
    chosen: list[tuple[Worker, Candidate]] = []
    busy = set(state.running)
    for candidate in waiting(plan, state):
        idle = [
            worker
            for name, worker in sorted(state.workers.items())
            if name not in busy and worker.device not in closed
        ]
        if not idle:
            break
        worker: Worker | None = idle[0]
        if _alone(state, candidate.number):
            worker, device = _whole_device(state, idle, busy)
            closed.add(device)
        if worker is not None:
            busy.add(worker.name)
            chosen.append((worker, candidate))
    return tuple(chosen)


def waiting(plan: Plan, state: DriverState) -> list[Candidate]:
    """Candidates to dispatch, in order: those that must run alone, then the longest, then the lowest number.

    Of equal chromosomes only the lowest number is trained; the others wait for its fitness.
    """
    first: dict[object, int] = {}
    for number in sorted(state.open):
        first.setdefault(state.open[number].chromosome, number)
    running = set(state.running.values())
    candidates = [state.open[number] for number in first.values() if number not in running]
    return sorted(candidates, key=lambda c: (not _alone(state, c.number), -plan.cost(c), c.number))


def _alone(state: DriverState, number: int) -> bool:
    return must_run_alone(state.failures.get(number, ()))


def _whole_device(state: DriverState, idle: Sequence[Worker], busy: set[str]) -> tuple[Worker | None, str]:
    """An idle worker whose whole device is free; or none yet, and the device to keep clear for it."""
    taken = {state.workers[name].device for name in busy if name in state.workers}
    for worker in idle:
        if worker.device not in taken:
            return worker, worker.device
    return None, idle[0].device
