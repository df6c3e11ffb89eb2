"""The `evosearch` command, and `python -m evosearch`."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType


def _stop_at_once(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"evosearch: stopped before anything began\n")
    os._exit(75)


def main() -> None:
    """Run the command that `sys.argv` names and exit with its status."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the imports take a moment, too
        signal.signal(number, _stop_at_once)
    if sys.stdout is None or sys.stderr is None:  # the caller closed them
        nowhere = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    from evosearch import cli  # noqa: PLC0415

    cli.main()


if __name__ == "__main__":
    main()
