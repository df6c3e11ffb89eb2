"""Which Ray cluster a search runs on: never silently another one that happens to run on this machine."""

import logging
import os
import socket
from dataclasses import dataclass
from typing import Any, Literal

from evosearch.errors import CannotRunError, InterruptedSearchError
from evosearch.runtime import WorkerSettings
from workers.lookout import look
from workers.machine import count_cores, count_gpus
from workers.nodes import check_holds_one, choose_device
from workers.slots import Slot, kind_of, plan_slots

LOCAL = "local"
"""The address that makes Ray start a cluster of its own."""

KNOCK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Connection:
    """A cluster this process is connected to, and the kind of device that all workers use there.

    `ours`: made by `connect`, so to be ended by `disconnect`.
    """

    device: Literal["cpu", "cuda"]
    ours: bool


def connect(settings: WorkerSettings, threads: int) -> Connection:
    """Connect to the cluster of this process, of `settings.address` or of RAY_ADDRESS, else start a private one.

    A private cluster has just the cores and GPUs of its workers, no dashboard, and sends no usage statistics; it
    ends with `disconnect`, or with this process. `ray.init` replaces this process' SIGTERM handler.

    Raises:
        CannotRunError: the cluster cannot be reached, or holds not a single worker.
    """
    import ray

    if ray.is_initialized():  # by the user's own program
        return Connection(_shared_device(settings, threads), ours=False)
    address = settings.address or os.environ.get("RAY_ADDRESS") or LOCAL
    try:
        if address == LOCAL:
            slots = plan_slots(settings, threads, count_gpus(), count_cores())
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            _init(address, include_dashboard=False, **_resources(slots))
            return Connection(kind_of(slots), ours=True)
        _knock(address)
        _init(address)
    except (ConnectionError, OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        what = (
            "a private Ray cluster could not be started"
            if address == LOCAL
            else f"no Ray cluster at {address}"
        )
        raise CannotRunError(f"{what}: {' '.join(str(error).split())}") from error
    try:
        return Connection(_shared_device(settings, threads), ours=True)
    except CannotRunError:
        disconnect(Connection("cpu", ours=True))
        raise


def disconnect(connection: Connection) -> None:
    """End a private cluster, leave another one running; a connection of the user's own stays as it is."""
    import ray

    if connection.ours:
        ray.shutdown()
        _print_worker_logs(True)


def _knock(address: str) -> None:
    """Fail at once where nobody listens: Ray 2.60 tries for more than five minutes."""
    host, _, port = address.rpartition("://")[-1].rpartition(":")
    if port.isdigit():  # and not "auto"
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_SECONDS).close()


def _init(address: str, **options: Any) -> None:
    import ray

    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except SystemExit as error:  # how Ray answers a SIGTERM from the moment it has put its own handler in
        raise InterruptedSearchError(
            "stopped by SIGTERM while Ray was starting; run the same command again"
        ) from error
    _print_worker_logs(False)


def _print_worker_logs(wanted: bool) -> None:
    # Ray tells of each dead worker on standard output, even without log_to_driver; the switch is its debugger's
    import ray._private.worker

    ray._private.worker._worker_logs_enabled = wanted


def _resources(slots: tuple[Slot, ...]) -> dict[str, int]:
    return {
        "num_cpus": sum(slot.threads for slot in slots),
        "num_gpus": len({slot.device for slot in slots if slot.device != "cpu"}),
    }


def _shared_device(settings: WorkerSettings, threads: int) -> Literal["cpu", "cuda"]:
    nodes = look().nodes
    device = choose_device(nodes, settings)
    check_holds_one(nodes, settings, threads, device)
    return device
