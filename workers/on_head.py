"""Runs one command of evosearch on the head of a cluster, as `job_client` sends it: this file's text is the job.

So it does with the standard library alone: the head's evosearch may be older, or missing. A job has one log for both of its
streams; standard error goes there as it comes, standard output in one piece at the end, packed, in lines that begin with a mark.
"""

import base64
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import zlib

WIDTH = 8000
"""Characters of a line: Ray cuts longer ones than 20,000."""


def main(mark: str, *arguments: str) -> int:
    """Run `evosearch ARGUMENTS`; returns its exit status, of a killed one as a shell does."""
    # `ray job stop` signals every process: the command answers, and this one waits for it. A handler, since what is ignored
    # would be ignored by the command, too.
    signal.signal(signal.SIGTERM, lambda *_: None)
    _log(mark)
    if importlib.util.find_spec("evosearch") is None:
        _log(
            f"evosearch: {sys.executable} on the head {socket.gethostname()} has no evosearch; install it there"
        )
        _log(f"{mark} .")
        return 3
    command = [sys.executable, "-P", "-m", "evosearch", *arguments]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=False, env=environment)  # noqa: S603 - no shell
    text = base64.b64encode(zlib.compress(ended.stdout)).decode()
    for start in range(0, len(text), WIDTH):
        _log(f"{mark} {text[start : start + WIDTH]}")
    _log(f"{mark} .")
    return ended.returncode if ended.returncode >= 0 else 128 - ended.returncode


def _log(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
