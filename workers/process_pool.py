"""Workers as processes of this machine, for `--executor local`; ray is not imported."""

import contextlib
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Literal

from evosearch.data import SearchData
from evosearch.errors import CannotRunError
from evosearch.evaluation import FailureKind
from evosearch.runtime import (
    EvaluatorFactory,
    PoolEvent,
    Task,
    TaskDone,
    Ticket,
    Worker,
    WorkerJoined,
    WorkerLeft,
)
from workers.machine import gpu_environment, thread_environment
from workers.slots import Slot, kind_of, name_worker
from workers.task import Broken

LOG = logging.getLogger(__name__)

STARTS = 3
"""So many processes of one slot may die in a row before they were ready; then the pool gives up."""

KILL_SECONDS = 1.0
"""Longest wait for killed processes to be gone."""

PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "from workers.process_worker import main; main({}, {}, {!r})"
)
"""Ctrl-C and many schedulers' SIGTERM reach the whole process group; what becomes of a worker is the driver's
decision, so both are ignored from the first line on."""


@dataclass(eq=False)
class _Process:
    """One worker process. `attempt`: 1 for the first of its slot, one more after each that died before it was
    ready.
    """

    slot: Slot
    worker: Worker
    process: subprocess.Popen[bytes]
    channel: Connection
    attempt: int
    ready: bool = False
    ticket: Ticket | None = None


class ProcessPool:
    """A `WorkerPool` of one process per slot.

    They are started by `subprocess` rather than `multiprocessing`, which would run the user's main module again in
    each of them and leave a resource tracker behind. A worker ends as soon as its channel does, so it outlives
    even a killed driver by milliseconds only.
    """

    def __init__(self, factory: EvaluatorFactory, data: SearchData, slots: Sequence[Slot]) -> None:
        self._made_from = (factory, data)
        self._slots = tuple(slots)
        self._payload = tempfile.TemporaryFile()  # noqa: SIM115 - open until `close`
        self._serials = count(1)
        self._processes: dict[Worker, _Process] = {}

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """That of the slots, which are all of one kind."""
        return kind_of(self._slots)

    def start(self) -> None:
        """Write factory and data once to an unnamed file, and start a process per slot that reads it."""
        pickle.dump(self._made_from, self._payload, protocol=pickle.HIGHEST_PROTOCOL)
        self._payload.flush()
        for slot in self._slots:
            self._start(slot)

    def submit(self, worker: Worker, ticket: Ticket, task: Task) -> None:
        """Send the task; a worker that is gone already gets nothing."""
        if process := self._processes.get(worker):
            process.ticket = ticket
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # `poll` will find it dead
                process.channel.send(task)

    def poll(self, timeout: float) -> Sequence[PoolEvent]:
        """Wait for messages and deaths; those who left come first, so that nobody is given work in vain.

        Raises:
            CannotRunError: no process of a slot became ready, `STARTS` times in a row, and no other slot is left.
        """
        told = wait([process.channel for process in self._processes.values()], timeout)
        processes = [process for process in self._processes.values() if process.channel in told]
        events = [event for process in processes for event in self._read(process)]
        return sorted(events, key=lambda event: not isinstance(event, WorkerLeft))

    def close(self) -> None:
        """Kill every process, whatever it does; nothing in a worker is worth a goodbye."""
        processes = list(self._processes.values())
        self._processes.clear()
        self._payload.close()
        for process in processes:
            process.process.kill()
            process.channel.close()
        deadline = time.monotonic() + KILL_SECONDS
        for process in processes:
            with contextlib.suppress(
                subprocess.TimeoutExpired
            ):  # stuck in the kernel: it dies on its way out
                process.process.wait(max(0.0, deadline - time.monotonic()))

    def _start(self, slot: Slot, attempt: int = 1) -> None:
        here, there = Pipe()
        descriptors = (there.fileno(), self._payload.fileno())
        device = "cpu" if slot.device == "cpu" else "cuda:0"
        process = subprocess.Popen(  # noqa: S603 - our own program
            (sys.executable, "-P", "-c", PROGRAM.format(*descriptors, device)),
            env=_environment(slot),
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=2,  # standard output belongs to the answer of the command
        )
        there.close()
        worker = name_worker(socket.gethostname(), slot.device, next(self._serials))
        self._processes[worker] = _Process(slot, worker, process, here, attempt)

    def _read(self, process: _Process) -> list[PoolEvent]:
        try:
            message = process.channel.recv()
        except (EOFError, OSError):
            return self._bury(process, _describe_end(process.process))
        if isinstance(message, Broken):
            return self._bury(process, message.message)
        if process.ticket is None:
            process.ready = True
            return [WorkerJoined(process.worker)]
        ticket, process.ticket = process.ticket, None
        return [TaskDone(process.worker, ticket, message)]

    def _bury(self, process: _Process, message: str) -> list[PoolEvent]:
        """See the end of a process that is dead or of no use, and start another in its slot."""
        del self._processes[process.worker]
        process.channel.close()
        process.process.kill()
        process.process.wait()
        if process.ready:
            self._start(process.slot)
            return [WorkerLeft(process.worker, FailureKind.CRASHED, message)]
        if process.attempt == STARTS:
            if not self._processes:
                raise CannotRunError(f"no worker process became ready, {STARTS} times in a row: {message}")
            LOG.warning("gave up a slot whose worker died %d times while it started: %s", STARTS, message)
            return []
        self._start(process.slot, process.attempt + 1)
        return []


def _environment(slot: Slot) -> dict[str, str]:
    gpu = {} if slot.device == "cpu" else gpu_environment(int(slot.device.removeprefix("cuda:")))
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return {**os.environ, **thread_environment(slot.threads), **gpu, "PYTHONPATH": path}


def _describe_end(process: subprocess.Popen[bytes]) -> str:
    """How a process ended whose channel is closed; one that hangs on all the same has a moment to go."""
    try:
        status = process.wait(KILL_SECONDS)
    except subprocess.TimeoutExpired:
        return "the worker process closed its channel and had to be killed"
    if status >= 0:
        return f"the worker process ended with exit status {status}"
    hint = ", as the kernel does when memory runs out" if status == -signal.SIGKILL else ""
    return f"the worker process was killed by {signal.Signals(-status).name}{hint}"
