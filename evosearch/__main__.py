"""The `evosearch` command, and `python -m evosearch`."""

# ruff: noqa: E402 - the order in which files are looked for comes before the first file
from evosearch.importing import put_ours_first

put_ours_first()

import contextlib
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evosearch.providers import Providers

HURRIED = (3, 75, 130)
"""Exit statuses of a command that cannot go on or was asked to stop."""


def _stop_at_once(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"evosearch: stopped; nothing is lost\n")
    os._exit(75)


def main(providers: "Providers | None" = None) -> None:
    """Run the command that `sys.argv` names and exit with its status; `providers`: as `cli.main`."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the imports take a moment, too
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as nohup leaves it
            signal.signal(number, _stop_at_once)
    if sys.stdout is None or sys.stderr is None:  # the caller closed them
        nowhere = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    from evosearch import cli  # noqa: PLC0415 - once a signal is answered

    try:
        cli.main(providers)
    except SystemExit as ended:
        if ended.code in HURRIED:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError):
                    stream.flush()
            os._exit(ended.code)  # what Ray still does at exit would outlast the 3 seconds that were promised
        raise
    except Exception:
        cli.tell_traceback()
        sys.exit(1)


if __name__ == "__main__":
    main()
