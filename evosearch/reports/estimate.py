"""When a search will end, judged by how fast it has gone so far."""


def seconds_left(done: int, total: int, seconds: float) -> float | None:
    """Estimated seconds until `total` evaluations are done, `done` of which took `seconds` of wall time.

    Returns: None while nothing is done; 0 where nothing is left. Generations' barriers are in it, as they were
    in the past.
    """
    if done >= total:
        return 0.0
    return seconds / done * (total - done) if done else None
