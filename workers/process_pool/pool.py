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
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing.connection import Connection, Pipe, wait
from typing import Literal, assert_never

from evosearch.data import SearchData
from evosearch.errors import CannotRunError
from evosearch.evaluation import FailureKind, Task
from evosearch.importing import child_environment
from evosearch.runtime import (
    EvaluatorFactory,
    Notices,
    PoolChanged,
    PoolEvent,
    TaskDone,
    Ticket,
    Worker,
    WorkerJoined,
    WorkerLeft,
    WorkerProgressed,
    lost_with,
)
from workers.allocator import allocator_environment, c_library
from workers.packing import Sharing
from workers.process_pool.worker import Asked, Pulse, Stack, Told, WhereAreYou
from workers.slots import Slot, gpu_environment, kind_of, name_worker, thread_environment
from workers.worker.service import UNLIMITED, Broken, Done, Ready, Upkeep

LOG = logging.getLogger(__name__)

STARTS = 3
"""So many processes of one slot may die in a row before they were ready; then the pool gives up."""

START_SECONDS = 300.0
"""A process that is not ready by then hangs, as CUDA does on a GPU that is ill; importing torch over a network takes
a minute at worst.
"""

STACK_SECONDS = 2.0
"""How long a worker that is to be killed may take to say where it stands."""

KILL_SECONDS = 1.0
"""Longest wait for killed processes to be gone."""

PROGRAM = (
    "import signal; [signal.signal(one, signal.SIG_IGN) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]; "
    "from workers.process_pool.worker import main; main({}, {}, {!r}, {}, shares={})"
)
"""Ctrl-C, many schedulers' SIGTERM and a closed terminal's SIGHUP reach the whole process group; what becomes of a worker
is the driver's decision, so they are ignored from the first line on."""


@dataclass(eq=False)
class _Process:
    """One worker process. `attempt`: 1 for the first of its slot, one more after each that died before it was
    ready. `late`: monotonic seconds by which it must be ready.
    """

    slot: Slot
    """Of the machine, which it fills."""
    worker: Worker
    process: subprocess.Popen[bytes]
    """The operating system's."""
    channel: "Connection[Asked, Told]"
    """To ask it and to hear of it."""
    attempt: int
    late: float
    ready: bool = False
    """Whether it has its evaluator."""
    ticket: Ticket | None = None
    """Of the task that it works at; None: it has none."""

    def end(self, seconds: float = KILL_SECONDS) -> None:
        """Kill it, whatever it does, and wait so long for its end; one that was frozen by a signal dies as well."""
        self.channel.close()
        self.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel: it dies on its way out
            self.process.wait(seconds)


class ProcessPool:
    """A `WorkerPool` of one process per slot.

    They are started by `subprocess` rather than `multiprocessing`, which would run the user's main module again in
    each of them and leave a resource tracker behind. A worker ends as soon as its channel does, so it outlives
    even a killed driver by milliseconds only.
    """

    def __init__(
        self,
        factory: EvaluatorFactory,
        data: SearchData,
        slots: Sequence[Slot],
        upkeep: Upkeep = UNLIMITED,
        sharing: Sharing | None = None,
        notice: str = "",
    ) -> None:
        """`sharing`: gives the GPUs of `slots`, of which there is one each, further workers; None: nothing does. `notice`: is
        told first, if it is not empty.
        """
        self._made_from = (factory, data, upkeep)
        self._slots = tuple(slots)
        self._node = socket.gethostname()
        self._payload = tempfile.TemporaryFile()  # noqa: SIM115 - open until `close`
        self._serials = count(1)
        self._processes: dict[str, _Process] = {}
        self._news: list[PoolEvent] = [PoolChanged(notice)] if notice else []
        self._notices = Notices()
        self._excluded = False
        self._sharing = sharing

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """That of the slots, which are all of one kind."""
        return kind_of(self._slots)

    @property
    def settled(self) -> bool:
        """Whether every process is ready."""
        return all(process.ready for process in self._processes.values())

    @property
    def ordered(self) -> int:
        """A process per slot."""
        return len(self._processes)

    def start(self) -> None:
        """Write factory and data once to an unnamed file, and start a process per slot that reads it."""
        try:
            pickle.dump(self._made_from, self._payload, protocol=pickle.HIGHEST_PROTOCOL)
            self._payload.flush()
        except OSError as error:
            raise CannotRunError(
                f"the data cannot be written to {tempfile.gettempdir()} for the workers: {error.strerror}; make room "
                "there, or set TMPDIR to another folder"
            ) from error
        for slot in self._slots:
            self._start(slot)

    def submit(self, worker: Worker, ticket: Ticket, task: Task) -> None:
        """Send the task; a worker that is gone already gets nothing."""
        if process := self._processes.get(worker.name):
            process.ticket = ticket
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # `poll` will find it dead
                process.channel.send(task)

    def poll(self, timeout: float) -> Sequence[PoolEvent]:
        """Wait for messages and deaths, and tell them as they came about.

        Raises:
            CannotRunError: no process of a slot became ready, `STARTS` times in a row, and no other slot is left.
        """
        channels = {process.channel: process for process in self._processes.values()}
        told = wait(list(channels), 0 if self._news else timeout)
        events, self._news = self._news, []
        for channel, process in channels.items():
            if process.worker.name not in self._processes:  # it went with another one
                continue
            if channel in told:
                events += self._read(process)
            elif not process.ready and time.monotonic() > process.late:
                events += self._bury(process, f"the worker process was not ready after {START_SECONDS:.0f} s")
        return events

    def stop(self, worker: Worker, kind: FailureKind, message: str) -> None:
        """Ask the process where it stands, for `STACK_SECONDS` at most, and kill it."""
        process = self._processes.get(worker.name)
        if process is None:
            return
        stack = _ask(process.channel)
        if stack:
            LOG.warning("%s is stopped (%s); its stack:\n%s", worker.name, message, stack.text)
        where = f"it was at {stack.place}" if stack else "it did not answer when asked where it was"
        self._news += self._bury(process, f"{message}; {where}", kind)

    def dismiss(self, worker: Worker) -> None:
        """End the process, and give its slot up."""
        if process := self._processes.get(worker.name):
            self._replace(process, STARTS + 1)

    def exclude(self, node: str) -> None:
        """Dismiss the idle processes if `node` is this machine; once the others have ended their tasks none is left."""
        if node != self._node:
            return
        self._excluded = True
        for process in list(self._processes.values()):
            if process.ticket is None:
                self._replace(process)

    def close(self) -> None:
        """Kill every process, whatever it does; nothing in a worker is worth a goodbye."""
        processes = list(self._processes.values())
        self._processes.clear()
        self._news.clear()
        self._payload.close()
        for process in processes:
            process.process.kill()
        deadline = time.monotonic() + KILL_SECONDS
        for process in processes:
            process.end(max(0.0, deadline - time.monotonic()))

    def _start(self, slot: Slot, attempt: int = 1) -> None:
        here, there = Pipe()
        descriptors = (there.fileno(), self._payload.fileno())
        device = "cpu" if slot.device == "cpu" else "cuda:0"
        alone = self._sharing is None and sum(one.device == slot.device for one in self._slots) == 1
        shares = slot.device != "cpu" and not alone
        process = subprocess.Popen(  # noqa: S603 - our own program
            (sys.executable, "-P", "-c", PROGRAM.format(*descriptors, device, attempt, shares)),
            env=_environment(slot),
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=2,  # standard output belongs to the answer of the command
        )
        there.close()
        worker = name_worker(self._node, slot.device, next(self._serials))
        late = time.monotonic() + START_SECONDS
        self._processes[worker.name] = _Process(slot, worker, process, here, attempt, late)

    def _read(self, process: _Process) -> list[PoolEvent]:
        try:
            message = process.channel.recv()
        except (EOFError, OSError):
            return self._bury(process, _describe_end(process.process))
        match message:
            case Broken(reason, kind):
                return self._bury(process, reason, kind)
            case Ready(memory, processor, precisions, mps, turns):
                process.ready = True
                process.worker = replace(
                    process.worker, memory=memory, processor=processor, precisions=precisions, mps=mps
                )
                turns_told = self._notices.turns(process.worker, turns)
                return [WorkerJoined(process.worker), *turns_told, *self._fill(process)]
            case Pulse(curve):
                return [WorkerProgressed(process.worker, curve)]
            case Done():
                return self._finish(process, message)
            case Stack():  # is read where it was asked for, and its worker killed
                return []
        assert_never(message)

    def _fill(self, process: _Process) -> list[PoolEvent]:
        """Start the other workers of a GPU of which it is known now how many it gets."""
        if self._sharing is None or self._excluded:
            return []
        others, told = self._sharing.saw(process.slot.device, process.worker)
        for device in others:
            self._start(replace(process.slot, device=device))
        return [PoolChanged(told)] if told else []

    def _finish(self, process: _Process, done: Done) -> list[PoolEvent]:
        ticket, process.ticket = process.ticket, None
        if ticket is None:  # nobody asked
            return []
        leaves = done.leaves or ("its node is closed to new work" if self._excluded else "")
        if leaves:
            self._replace(process)
        return [
            TaskDone(process.worker, ticket, done.result, leaves),
            *self._notices.of(process.worker, done.notice),
        ]

    def _bury(
        self, process: _Process, message: str, kind: FailureKind = FailureKind.CRASHED
    ) -> list[PoolEvent]:
        """See the end of a process that is dead or of no use, and start another in its slot."""
        if process.ready:
            mates = self._mates(process)
            self._replace(process)
            gone = lost_with(process.worker, message)
            followed = (event for mate in mates for event in self._bury_mate(mate, gone))
            return [WorkerLeft(process.worker, kind, message), *followed]
        last = process.attempt == STARTS
        self._replace(process, process.attempt + 1)
        if last and not self._processes:
            raise CannotRunError(f"no worker process became ready, {STARTS} times in a row: {message}")
        if not last:
            return []
        return [PoolChanged(f"gave up a slot whose worker died {STARTS} times while it started: {message}")]

    def _mates(self, process: _Process) -> list[_Process]:
        """Whoever has lost its GPU where `process` ends now."""
        if not process.worker.mps or process.ticket is None:
            return []
        ready = (one for one in self._processes.values() if one is not process and one.worker.mps)
        return [one for one in ready if one.worker.device == process.worker.device]

    def _bury_mate(self, mate: _Process, reason: str) -> list[PoolEvent]:
        """See the end of one that has lost its GPU with another one, for `reason`. What it has said by then holds: that its task
        has ended, or that its own process failed.
        """
        events: list[PoolEvent] = []
        while mate.worker.name in self._processes:
            if mate.channel.poll():
                events += self._read(mate)
            else:
                self._replace(mate)
                events.append(WorkerLeft(mate.worker, FailureKind.WORKER_LOST, reason))
        return events

    def _replace(self, process: _Process, attempt: int = 1) -> None:
        """End a process and start another in its slot, unless the slot is given up."""
        del self._processes[process.worker.name]
        process.end()
        if attempt <= STARTS and not self._excluded:
            self._start(process.slot, attempt)


def _ask(channel: "Connection[Asked, Told]") -> Stack | None:
    """Where the worker at the other end stands; None if it does not say in time. What else it says is lost."""
    deadline = time.monotonic() + STACK_SECONDS
    with contextlib.suppress(EOFError, OSError):  # it has just died
        channel.send(WhereAreYou())
        while channel.poll(max(0.0, deadline - time.monotonic())):
            answer = channel.recv()
            if isinstance(answer, Stack):
                return answer
    return None


def _environment(slot: Slot) -> dict[str, str]:
    gpu = {} if slot.device == "cpu" else gpu_environment(int(slot.device.removeprefix("cuda:")))
    kept = allocator_environment(os.environ, c_library())
    return {**os.environ, **kept, **thread_environment(slot.threads), **gpu, **child_environment()}


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
