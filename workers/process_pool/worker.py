"""What a worker process of `ProcessPool` runs; importing this must never import torch, nor much else.

Three threads share the channel to the driver: the main one trains, since CUDA and signals like it so; one listens, because a
training would notice the driver's death only at its end; one reports progress.
"""

import mmap
import os
import pickle
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import TypeAlias

from evosearch.evaluation import EpochRecord, Task
from workers.allocator import give_back
from workers.worker.classify import describe
from workers.worker.service import Broken, Ready, Reply, Service, prepare

PULSE_SECONDS = 1.0
"""How often progress is reported at most; a task that takes less reports nothing."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """The running task has made progress; never sent after its reply."""

    curve: tuple[EpochRecord, ...] = ()
    """That of a training, if it is reported now; else empty."""


@dataclass(frozen=True, slots=True)
class WhereAreYou:
    """The driver's question before it kills a worker; answered by `Stack`."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Where the training thread is."""

    text: str
    """Its whole stack, several lines."""
    place: str
    """Its innermost line of this project."""


Told: TypeAlias = Ready | Pulse | Stack | Reply
"""First `Ready`, or `Broken` by one that cannot take tasks and ends."""
Asked: TypeAlias = Task | WhereAreYou


def main(
    channel_number: int, payload_number: int, device: str, attempt: int = 1, *, shares: bool = False
) -> None:
    """Serve tasks until the driver closes the channel or dies; either ends this process at once.

    Args:
        channel_number: file descriptor of the two-way channel to the driver.
        payload_number: file descriptor of the pickled (factory, data, upkeep).
        device: what the factory is asked for, "cpu" or "cuda:0".
        attempt: of its slot, as in `Upkeep.at`.
        shares: whether other workers may use its GPU too.
    """
    line = _Line(Connection(channel_number))
    threading.Thread(target=line.listen, daemon=True).start()
    try:
        service, ready = _prepare(payload_number, device, attempt, shares=shares)
        give_back()  # what the data took that the evaluator does not keep
    except Exception as error:
        line.send(Broken(describe(error)))
        return
    line.serve(service, ready)


class _Line:
    """The channel to the driver, and what its threads share."""

    def __init__(self, channel: "Connection[Told, Asked]") -> None:
        self._channel = channel
        self._sending = threading.Lock()
        self._inbox: SimpleQueue[Task] = SimpleQueue()
        self._service: Service | None = None
        self._since: float | None = None
        """Monotonic seconds at which the running task began."""
        self._told = 0
        """The pulse at which progress was last reported, or there was none to report."""

    def send(self, message: Told) -> None:
        with self._sending:
            self._tell(message)

    def _tell(self, message: Told) -> None:
        """Whoever holds the lock sends; ends the process, without a word, where the driver is gone before `listen` saw it."""
        try:
            self._channel.send(message)
        except ConnectionError:
            os._exit(1)

    def serve(self, service: Service, ready: Ready) -> None:
        """Run one task after another, for ever."""
        self._service = service
        threading.Thread(target=self._report, args=(service,), daemon=True).start()
        self.send(ready)
        while True:
            task = self._inbox.get()
            with self._sending:
                self._since = time.monotonic()
                self._told = service.pulse() + 1  # a task that merely begins has made no progress
            reply = service.run(task)
            with self._sending:
                self._since = None
                self._tell(reply)

    def listen(self) -> None:
        """Take tasks and questions; ends the process when the channel ends."""
        try:
            while True:
                message = self._channel.recv()
                if not isinstance(message, WhereAreYou):
                    self._inbox.put(message)
                elif self._service:
                    self.send(Stack(self._service.stack(), self._service.place()))
        except (EOFError, OSError):
            pass  # the driver closed the channel, or died
        finally:
            os._exit(1)

    def _report(self, service: Service) -> None:
        while True:
            time.sleep(PULSE_SECONDS)
            with self._sending:
                pulse = service.pulse()
                long = self._since is not None and time.monotonic() - self._since >= PULSE_SECONDS
                if long and pulse > self._told:
                    self._tell(Pulse(service.news()))
                self._told = max(pulse, self._told)


def _prepare(payload_number: int, device: str, attempt: int, *, shares: bool) -> tuple[Service, Ready]:
    # mapped, since the descriptor's position is shared with the other workers
    with mmap.mmap(payload_number, 0, access=mmap.ACCESS_READ) as payload:
        factory, data, upkeep = pickle.loads(payload)  # noqa: S301 - written by the driver that started this process
    os.close(payload_number)
    return prepare(factory, data, device, upkeep.at(attempt), shares=shares)
