"""What went wrong in workers though their results are as they should be: told to a person, and counted."""

from evosearch.runtime import PoolChanged, PoolEvent, Worker


class Notices:
    """Those of one pool."""

    def __init__(self) -> None:
        self._count = 0

    def of(self, worker: Worker, notice: str) -> list[PoolEvent]:
        """What there is to tell of a worker that left with such a notice; nothing of one without.

        >>> notices = Notices()
        >>> notices.of(Worker("a", "host/cuda:0"), "a step could not be captured")
        [PoolChanged(text='a: a step could not be captured; a fresh process takes its place (1 so far)')]
        >>> notices.of(Worker("a", "host/cuda:0"), "")
        []
        """
        if not notice:
            return []
        self._count += 1
        return [
            PoolChanged(f"{worker.name}: {notice}; a fresh process takes its place ({self._count} so far)")
        ]
