"""Watching which nodes a Ray cluster has, without ever waiting for its head."""

import contextlib
import threading
import time

from workers.nodes import View, read_view

LOOK_SECONDS = 1.0
"""A node that joins, drains or dies is noticed so soon after Ray knows."""


def look() -> View:
    """The cluster now. Where the head does not answer, this blocks until Ray ends the process, a minute later."""
    from ray._private.state import state

    # `ray.nodes()` is the same table, but starts a cluster of its own where the connection has just been closed;
    # and of draining nodes no public function tells
    table = state.node_table()  # type: ignore[no-untyped-call] # of Ray
    return read_view(table, state.get_draining_nodes())


class Lookout:
    """Looks every second, in a thread of its own: a head that is gone must not hold up the driver's last words."""

    def __init__(self) -> None:
        self.view = look()
        self._changed = threading.Condition()
        self._looks = 0
        self._wanted = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def look_now(self, timeout: float) -> View:
        """A view taken after this call began; the last one there is where none comes within `timeout` seconds."""
        with self._changed:
            enough = self._looks + 2  # the next one may have been begun before
            deadline = time.monotonic() + timeout
            while self._looks < enough and (left := deadline - time.monotonic()) > 0:
                self._wanted.set()
                self._changed.wait(left)
        return self.view

    def close(self) -> None:
        """Stop looking; must come before Ray's connection is closed."""
        self._closed = True
        self._wanted.set()
        self._thread.join(LOOK_SECONDS / 2)

    def _watch(self) -> None:
        import ray

        while not self._closed:
            self._wanted.wait(LOOK_SECONDS)
            self._wanted.clear()
            with contextlib.suppress(
                ray.exceptions.RayError, RuntimeError
            ):  # the head is away, or the connection closed
                self.view = look()
            with self._changed:
                self._looks += 1
                self._changed.notify_all()
