"""Stands in for NVIDIA's `nvidia-cuda-mps-control`: the daemon with -f, else a question to it. It notes the pid of each daemon
in the file `started` beside it; `mood` beside it may say "broken" (it ends at once), "deaf" (nobody can ask it to quit) or "slow" (it
answers nobody yet; who asks stands in the file `asked`).
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
PIPES = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", HERE / "nowhere"))
PIPE, PID = PIPES / "control", PIPES / "nvidia-cuda-mps-control.pid"


def mood() -> str:
    told = HERE / "mood"
    return told.read_text() if told.exists() else ""


def lives() -> bool:
    try:
        os.kill(int(PID.read_text()), 0)
    except (OSError, ValueError):
        return False
    return PIPE.exists()


def serve() -> None:
    with (HERE / "started").open("a") as started:
        started.write(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES', 'all')}\n")
    if mood() == "broken":
        sys.exit("no permission to do so")
    PIPE.unlink(missing_ok=True)
    os.mkfifo(PIPE)
    PID.write_text(str(os.getpid()))
    while "quit" not in PIPE.read_text():
        pass
    PIPE.unlink()


def ask(command: str) -> None:
    if mood() == "slow":
        with (HERE / "asked").open("a") as asked:
            asked.write(f"{os.getppid()} {PIPES.name}\n")
        sys.exit("Cannot find MPS control daemon process")
    if not lives() or (mood() == "deaf" and command == "quit"):
        sys.exit("Cannot find MPS control daemon process")
    if command == "quit":
        PIPE.write_text(command)
    else:
        sys.stdout.write("4711\n")


if sys.argv[1:] == ["-f"]:
    serve()
else:
    ask(sys.stdin.read().strip())
