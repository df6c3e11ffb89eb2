"""When a worker process is worn out and should be replaced by a fresh one."""

from collections.abc import Callable

from workers.memory import Held, held, release

MIB = 2**20


class Wear:
    """Counts evaluations and watches what the process holds.

    `after`: the last evaluation's number, None: any number. `growth`: so many MiB more than after the first
    evaluation, on host or device, are too many; None: never. `held`, `release`: see `workers.memory`.
    """

    def __init__(
        self,
        after: int | None,
        growth: int | None,
        *,
        held: Callable[[], Held] = held,
        release: Callable[[], None] = release,
    ) -> None:
        self._after = after
        self._growth = growth
        self._held = held
        self._release = release
        self._first: Held | None = None
        self._evaluations = 0

    def evaluated(self) -> str:
        """Note that an evaluation has ended; why the process should be replaced now, or nothing if it may go on."""
        self._evaluations += 1
        if self._after is not None and self._evaluations >= self._after:
            return f"recycled after {self._evaluations} evaluation{'s' if self._evaluations > 1 else ''}"
        if self._growth is None:
            return ""
        if self._first is None:
            self._release()
            self._first = self._held()
            return ""
        if not self._grown(self._first):
            return ""
        self._release()  # garbage looks like growth too, and collecting it each time would cost
        return self._grown(self._first)

    def _grown(self, first: Held) -> str:
        now = self._held()
        pairs = (("host", first.host, now.host), ("device", first.device, now.device))
        for name, before, bytes_held in pairs:
            grown = (bytes_held or 0) - (before or 0)
            if self._growth is not None and grown > self._growth * MIB:
                return (
                    f"recycled: it holds {_gib(bytes_held or 0)} of {name} memory, {_gib(grown)} more than after "
                    "its first evaluation"
                )
        return ""


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
