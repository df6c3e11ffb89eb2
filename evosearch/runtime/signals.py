"""Ctrl-C, SIGTERM and SIGHUP as a question the driver asks, not as an exception in the middle of a commit."""

import signal
from types import FrameType, TracebackType
from typing import Any

from evosearch.errors import InterruptedSearchError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""SIGHUP: the terminal was closed; under nohup it is ignored, and stays so."""


class StopSignals:
    """Context that takes over SIGINT, SIGTERM and SIGHUP and gives them back at its end.

    Until `defer` is called a signal ends the preparation at once, by `InterruptedSearchError`. From then on the
    first one only sets `reason`, which the driver asks for between two commits; a second Ctrl-C raises
    KeyboardInterrupt. Works in the main thread only, as signals do; elsewhere it never sees any.
    """

    def __init__(self) -> None:
        self._reason: str | None = None
        self._deferred = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopSignals":
        self._install()
        return self

    def reclaim(self) -> None:
        """Take the signals back from `ray.init`, which puts a handler of its own in place of ours."""
        self._install()

    def defer(self) -> None:
        """From here on a signal waits to be asked for."""
        self._deferred = True

    def reason(self) -> str | None:
        """The name of the signal that asked for a stop; None as long as none did."""
        return self._reason

    def _install(self) -> None:
        for number in SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue
            try:
                before = signal.signal(number, self._handle)
            except ValueError:  # not in the main thread
                return
            self._before.setdefault(number, before)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._reason is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._reason = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        if not self._deferred:
            raise InterruptedSearchError(
                f"stopped by {self._reason} before training began; run the same command again"
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
