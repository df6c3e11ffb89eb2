"""NVIDIA's Multi-Process Service (MPS), through which the workers that share a GPU run their kernels side by side; without it
they take turns.

The first such worker of a user on a node starts a keeper: a small process whose child the control daemon is, which ends with
the last worker. Who is there is known by locks on files, which go with their holders however these end:

| file in the folder | held |
|---|---|
| `door` | by a worker that joins, so that one at a time does |
| `workers` | by each worker, together with the others, as long as it lives; by a keeper alone, once they have all gone |
| `keeper` | by the keeper, as long as it lives |
| `daemon` | pid and start of the daemon: what a killed keeper left is ended by the next one |
| `refused` | why MPS cannot be used, as long as any of those lives whom it was told |

Nothing is partitioned, no limit is set, and the compute mode of a GPU is never changed.
"""

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

CONTROL = "nvidia-cuda-mps-control"
"""NVIDIA's program: the daemon with `-f`, else it asks the daemon what stands on its standard input."""

PIPES, LOGS, VISIBLE = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY", "CUDA_VISIBLE_DEVICES"

SHORT = Path("/tmp")  # noqa: S108 - the folder in it is closed to others
"""Where a folder's path leaves room for the names of sockets, which take 107 bytes."""

DEVICES = Path("/dev")
"""Where NVIDIA's driver has a file `nvidia0` and so on for each GPU."""

ANSWER_SECONDS = 20.0
"""Longest wait for the daemon: for its first answer, and for each."""

TRIAL_SECONDS = 60.0
"""Longest wait for the first process that meets a GPU through it: where it does not work, some drivers hang for ever."""

END_SECONDS = 5.0
"""Longest wait for its end after each way of asking for it."""

POLL_SECONDS = 0.05

TRIAL = """
import ctypes, sys
cuda, device, context = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(), ctypes.c_void_p()
calls = (
    lambda: cuda.cuInit(0),
    lambda: cuda.cuDeviceGet(ctypes.byref(device), 0),
    lambda: cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device),
)
if error := next(filter(None, (call() for call in calls)), 0):
    sys.exit(f"CUDA says error {error}")
"""
"""A program that begins CUDA on the first GPU that it sees."""

HELD: list[int] = []
"""Descriptors whose locks this process holds as long as it lives."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """How this process shares its GPU."""

    mps: bool
    """Through MPS: what ends one of its processes amidst its work may end all that use that GPU."""
    reason: str = ""
    """Why not, for a person; empty where it does."""


def join(environment: MutableMapping[str, str], base: Path, trial: str) -> Sharing:
    """Let this process, which shares its GPU and has not begun CUDA, use MPS where that can be had, as long as it lives.

    A daemon that answers already, be it in a folder of the user's own (CUDA_MPS_PIPE_DIRECTORY), is used and never
    ended; where the user named a folder and none answers, none is started.

    Args:
        environment: variables of this process, to which those are added by which CUDA finds the daemon.
        base: where the folder is made: `SHORT`.
        trial: a Python program that begins CUDA: `TRIAL`.
    """
    program = shutil.which(CONTROL, path=environment.get("PATH"))
    if program is None:
        return Sharing(False, f"{CONTROL} is not on PATH")
    if _asked(program, environment, "get_server_list") is not None:
        return Sharing(True)
    if own := environment.get(PIPES):
        return Sharing(False, f"no daemon answers in {own!r}, which {PIPES} names")
    try:
        folder = _folder(base)
        return _join(folder, program, environment, trial)
    except OSError as error:
        return Sharing(False, f"{error.strerror or error}: {error.filename or base}")


def _folder(base: Path) -> Path:
    """A folder of this user's on this node that nobody else may enter, for those who may use the same GPUs."""
    folder = base / "-".join(("evosearch-mps", str(os.getuid()), *_gpus(DEVICES)))
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(0, "it must be a folder of your own that is closed to others", str(folder))
    for name in ("pipe", "log"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    return folder


def _gpus(devices: Path) -> list[str]:
    """Numbers of the GPUs that this process may use, and so may a daemon that it starts: schedulers and containers keep others from
    it, and number the rest anew for it.
    """
    found = []
    for file in devices.glob("nvidia[0-9]*"):
        with suppress(OSError):
            os.close(os.open(file, os.O_RDWR))
            found.append(file.name.removeprefix("nvidia"))
    return sorted(found, key=lambda number: (len(number), number))


def _join(folder: Path, program: str, environment: MutableMapping[str, str], trial: str) -> Sharing:
    refused = folder / "refused"
    with _locked(folder / "door"):
        here = _opened(folder / "workers")
        HELD.append(here)
        alone = _try_lock(here)
        if alone:
            refused.unlink(missing_ok=True)
        fcntl.flock(here, fcntl.LOCK_SH)  # behind a keeper that is ending the daemon of others
        if refused.exists():
            return Sharing(False, refused.read_text())
        places = {PIPES: str(folder / "pipe"), LOGS: str(folder / "log")}
        through = {**environment, **places}
        # what a killed keeper left serves those whom it has, but nobody begins with it
        is_kept = _is_held(folder / "keeper") or not alone
        serves = is_kept and _asked(program, through, "get_server_list") is not None
        if why := "" if serves else _start_keeper(folder, program, through, trial):
            refused.write_text(why)
            return Sharing(False, why)
        environment.update(places)
        return Sharing(True)


def _start_keeper(folder: Path, program: str, environment: MutableMapping[str, str], trial: str) -> str:
    """Start it, and wait until the daemon serves; why it does not, or nothing where it does."""
    from evosearch.importing import (
        child_environment,
    )  # the keeper, which runs this file alone, needs nothing of ours

    command = (sys.executable, "-P", __file__, str(folder), program, trial)
    starter = subprocess.Popen(  # noqa: S603 - our own program
        command,
        env={**environment, **child_environment()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # a signal to all of the driver's group is none to the keeper
    )
    with starter:
        try:
            said, _ = starter.communicate(timeout=2 * ANSWER_SECONDS + TRIAL_SECONDS + 4 * END_SECONDS)
        except subprocess.TimeoutExpired:
            starter.kill()
            return "its keeper did not answer"
    return "" if said == "serves\n" else said.strip() or "its keeper died"


def keep(folder_name: str, program: str, trial: str) -> None:
    """What the keeper does: start the daemon, say whether it serves, and end it with the last worker."""
    if os.fork():
        os._exit(0)  # nobody's child: Ray ends the children of a worker with it
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # schedulers send them to all that they find; handled rather than ignored, since a child would inherit that
        signal.signal(number, lambda *_: None)
    folder = Path(folder_name)
    HELD.append(keeping := _opened(folder / "keeper"))
    deadline = time.monotonic() + ANSWER_SECONDS + TRIAL_SECONDS
    while not _try_lock(keeping):  # another one may be starting the daemon, though its worker has died
        serves = _asked(program, os.environ, "get_server_list") is not None
        if serves or time.monotonic() > deadline:
            _say("serves" if serves else f"{CONTROL} does not answer")
            return
        time.sleep(POLL_SECONDS)
    _end_left(folder, program)
    why, daemon = _begin(folder, program, trial)
    if why:
        _end_left(folder, program)
    _say(why or "serves")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # which ends what the worker reads
    if daemon is None:
        return
    if not why:
        threading.Thread(target=_outlive_workers, args=(folder, program), daemon=True).start()
    daemon.wait()
    (folder / "daemon").unlink(missing_ok=True)
    os._exit(0)


def _say(text: str) -> None:
    """To the worker."""
    with suppress(OSError):  # it may have died meanwhile
        os.write(1, f"{text}\n".encode())


def _begin(folder: Path, program: str, trial: str) -> tuple[str, "subprocess.Popen[bytes] | None"]:
    """The daemon, and why it does not serve, if so."""
    # the daemon sees all GPUs that it may use, so that one of them has for a worker the number that it has without a daemon
    sees = {name: value for name, value in os.environ.items() if name != VISIBLE}
    with (folder / "log" / "daemon.txt").open("wb") as log:
        try:
            daemon = subprocess.Popen(  # noqa: S603 - NVIDIA's program
                (program, "-f"),
                env=sees,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        except OSError as error:
            return f"{CONTROL} cannot be started: {error.strerror}", None
    try:
        (folder / "daemon").write_text(f"{daemon.pid} {_start_of(daemon.pid)}")
    except OSError as error:
        daemon.kill()
        return f"{folder} cannot be written to: {error.strerror}", daemon
    deadline = time.monotonic() + ANSWER_SECONDS
    while _asked(program, os.environ, "get_server_list") is None:
        if time.monotonic() > deadline:
            return f"{CONTROL} did not answer within {ANSWER_SECONDS:.0f} s", daemon
        with suppress(subprocess.TimeoutExpired):
            status = daemon.wait(POLL_SECONDS)
            said = (folder / "log" / "daemon.txt").read_text(errors="replace").split()
            return (
                f"{CONTROL} ended with exit status {status}{': ' if said else ''}{' '.join(said)[-200:]}",
                daemon,
            )
    return _tried(program, trial), daemon


def _tried(program: str, trial: str) -> str:
    """Why no process can begin CUDA through the daemon; nothing where one can."""
    try:
        ended = subprocess.run(  # noqa: S603 - our own program
            (sys.executable, "-P", "-c", trial),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TRIAL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"CUDA did not begin through {CONTROL} within {TRIAL_SECONDS:.0f} s"
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        return f"CUDA does not begin through {CONTROL}{': ' if said else ''}{''.join(said[-1:])}"
    return "" if _asked(program, os.environ, "get_server_list") else f"CUDA passes {CONTROL} by"


def _outlive_workers(folder: Path, program: str) -> None:
    """Wait until no worker lives, and end the daemon; whoever comes meanwhile waits until this process has ended, too."""
    HELD.append(here := _opened(folder / "workers"))
    fcntl.flock(here, fcntl.LOCK_EX)
    _end_left(folder, program)


def _end_left(folder: Path, program: str) -> None:
    """End the daemon that was started last, if it still lives: by its pid where it does not end when it is asked to."""
    try:
        number, began = (folder / "daemon").read_text().split()
        pid = int(number)
    except (FileNotFoundError, ValueError):
        return
    asked = _start_of(pid) == began and _asked(program, os.environ, "quit") is not None
    for way in (*((None,) if asked else ()), signal.SIGTERM, signal.SIGKILL):
        if way is not None and _start_of(pid) == began:
            with suppress(ProcessLookupError):
                os.killpg(pid, way)  # its servers, too: it leads a group of its own
        deadline = time.monotonic() + END_SECONDS
        while _start_of(pid) == began and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


def _start_of(pid: int) -> str:
    """When a process began, as the system counts; empty where it has ended. A pid alone may be another's by now."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else rest[18]


def _asked(program: str, environment: MutableMapping[str, str], command: str) -> str | None:
    """What the daemon answers; None where none does."""
    try:
        answer = subprocess.run(  # noqa: S603 - NVIDIA's program
            program,
            env=environment,
            input=f"{command}\n",
            text=True,
            capture_output=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    nobody = answer.returncode or "Cannot find" in answer.stdout + answer.stderr
    return None if nobody else answer.stdout.strip()


def _opened(file: Path) -> int:
    return os.open(file, os.O_RDWR | os.O_CREAT, 0o600)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_held(file: Path) -> bool:
    descriptor = _opened(file)
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    descriptor = _opened(file)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    keep(*sys.argv[1:])
