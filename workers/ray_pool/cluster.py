"""Which Ray cluster a search runs on: never silently another one that happens to run on this machine."""

import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.machinery import PathFinder
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

from evosearch.errors import CannotRunError, InputError, InterruptedSearchError
from evosearch.importing import child_environment, code_folder
from evosearch.runtime import MOST_PER_GPU, WorkerSettings
from evosearch.storage import without_password
from workers.allocator import allocator_environment, c_library
from workers.ray_pool.nodes import check_holds_one, choose_device, look
from workers.slots import Slot, count_cores, gpus_for, kind_of, plan_slots

if TYPE_CHECKING:
    import psutil
    from ray.job_config import JobConfig

LOCAL = "local"
"""The address that makes Ray start a cluster of its own."""

KNOCK_SECONDS = 10.0

GREETING_SECONDS = 30.0
"""Longest wait for the first word of who listens: a control plane that is busy says it late."""

EMPTY_SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""A frame of HTTP/2 (RFC 9113, 4.1): its length, its kind, which is SETTINGS, no flags, the connection as a whole."""

LONGEST_BASE = 18
"""Bytes: with a longer folder above, the paths of Ray's sockets would have more than the 103 that macOS takes."""

NEEDED = {"gcs_server": "control plane", "raylet": "node"}
"""What Ray calls the processes without which nothing works, and what they are."""

JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray for the driver of a job."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A cluster this process is connected to, and the kind of device that all workers use there."""

    device: Literal["cpu", "cuda"]
    """That kind."""
    ours: bool
    """Made by `connect`, so to be ended by `disconnect`."""
    private: "PrivateCluster | None" = field(default=None, compare=False)
    """The cluster, where this process started it; else None."""


def connect(settings: WorkerSettings, threads: int) -> Connection:
    """Connect to the cluster of this process, of `settings.address` or of RAY_ADDRESS, else start a private one.

    A private cluster (see `PrivateCluster`) has just the cores and GPUs of its workers; it ends with `disconnect`, or
    with this process. `ray.init` replaces this process' SIGTERM handler.

    Raises:
        InputError: the address is of another form; or this is a job, and files of its folder would take the place of
            packages that are needed.
        CannotRunError: the cluster cannot be reached, or holds not a single worker.
    """
    import ray

    if ray.is_initialized():  # by the user's own program
        return Connection(_shared_device(settings, threads), ours=False)
    address = settings.address or os.environ.get("RAY_ADDRESS") or LOCAL
    _check_form(address)
    try:
        if address == LOCAL:
            gpus, cores = gpus_for(settings.device), count_cores()
            slots = plan_slots(_at_most(settings, threads, gpus, cores), threads, gpus, cores)
            private = PrivateCluster.start(**_resources(slots))
            return Connection(kind_of(slots), ours=True, private=private)
        _refuse_stand_ins()
        _knock(address)
        _init(address)
    except (ConnectionError, OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        what = (
            "a private Ray cluster could not be started"
            if address == LOCAL
            else f"no Ray cluster at {address}"
        )
        raise CannotRunError(f"{what}: {' '.join(str(error).split())}") from error
    try:
        return Connection(_shared_device(settings, threads), ours=True)
    except CannotRunError:
        disconnect(Connection("cpu", ours=True))
        raise


def disconnect(connection: Connection) -> None:
    """End a private cluster, leave another one running; a connection of the user's own stays as it is."""
    import ray

    if connection.private:
        connection.private.end()
    elif connection.ours:
        ray.shutdown()
        _print_worker_logs(True)


@dataclass(frozen=True)
class PrivateCluster:
    """A Ray cluster of this machine, from `start` to `end`, that other users of the machine cannot enter.

    Whoever wants to talk to it needs a token, which is drawn again each time and is in the environment of this process and
    of Ray's alone: left to itself Ray 2.60 writes one for all clusters to come to ~/.ray/auth_token, for all to read.
    Its ports are bound to the loopback interface. Its files, sockets among them, which Ray lets everybody write, lie in
    a folder that is closed to others, and are gone at its end. It has no dashboard and sends no usage statistics.
    """

    _folder: Path
    _agents: tuple["psutil.Process", ...]
    _undone: ExitStack

    @classmethod
    def start(cls, **options: Any) -> "PrivateCluster":
        """Start it and connect to it; `options` are those of `ray.init`.

        Raises:
            OSError: its folder cannot be made.
            InterruptedSearchError: asked to stop meanwhile.
            Exception: what Ray raises.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        with ExitStack() as stack:
            folder = stack.enter_context(_closed_folder())
            stack.callback(_read_token_anew)
            stack.enter_context(_environment(_token()))
            _read_token_anew()
            kept = allocator_environment(os.environ, c_library())
            with _loopback(), _environment({**child_environment(), **kept}):
                # Ray opens the folder that it is given to everybody, so it gets one inside
                _init(LOCAL, include_dashboard=False, _temp_dir=str(folder / "ray"), **options)
            stack.callback(_leave)
            return cls(folder, _children_of_raylet(), stack.pop_all())

    def check(self) -> None:
        """See that it is whole; asks nobody but the operating system.

        Left to itself Ray 2.60 ends this process, 15 to 60 seconds later and with status 1.

        Raises:
            CannotRunError: one of its processes died that it cannot do without.
        """
        for kind, status in _dead_processes():
            if kind in NEEDED:
                raise CannotRunError(
                    f"the private Ray cluster died: its {NEEDED[kind]} ({kind}) {_described(status)}; the same command "
                    "starts another one and goes on"
                )

    def end(self) -> None:
        """End its processes, and leave this process' environment as it was."""
        if any(kind in NEEDED for kind, _ in _dead_processes()):
            _kill_all(self._agents)
            shutil.rmtree(
                self._folder, ignore_errors=True
            )  # now, since Ray's own leaving takes 5 to 15 seconds more
        self._undone.close()


def _node() -> Any:
    import ray._private.worker

    return ray._private.worker._global_node


def _dead_processes() -> list[tuple[str, int]]:
    """Kind and exit status of those that this process started as a cluster of its own and that have ended."""
    node = _node()
    dead = node.dead_processes() if node else []
    return [(kind, process.returncode) for kind, process in dead]


def _children_of_raylet() -> tuple["psutil.Process", ...]:
    """Its agents, and what trains; none once it is dead, since they are nobody's children then."""
    import psutil  # as Ray brings it along

    (raylet,) = _node().all_processes["raylet"]
    try:
        return tuple(psutil.Process(raylet.process.pid).children(recursive=True))
    except psutil.Error:
        return ()


def _kill_all(agents: tuple["psutil.Process", ...]) -> None:
    """End what is left of a cluster that has lost a part, its node's `agents` too, which would take a minute."""
    import psutil

    children = (*agents, *_children_of_raylet())
    _node().kill_all_processes(check_alive=False, allow_graceful=False)
    for child in children:
        with suppress(psutil.Error):  # it has ended by itself
            child.kill()


def _described(status: int) -> str:
    if status >= 0:
        return f"ended with exit status {status}"
    hint = ", as the kernel does when memory runs out" if status == -signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-status).name}{hint}"


def _leave() -> None:
    import ray

    ray.shutdown()
    _print_worker_logs(True)


def _token() -> dict[str, str | None]:
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_AUTH_TOKEN_PATH": None}


def _read_token_anew() -> None:
    """Ray reads mode and token once per process."""
    import ray._raylet

    raylet: Any = ray._raylet  # compiled, without types
    wanted = raylet.AuthenticationMode.TOKEN if _wants_token() else raylet.AuthenticationMode.DISABLED
    if raylet.get_authentication_mode() != wanted:
        raylet.Config.initialize("")
    raylet.AuthenticationTokenLoader.instance().reset_cache()


def _wants_token() -> bool:
    return os.environ.get("RAY_AUTH_MODE", "").lower() == "token"


@contextmanager
def _closed_folder() -> Iterator[Path]:
    """A folder of mode 0700 where Ray would put its own, or in /tmp where the names of its sockets got too long."""
    wanted = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()).absolute()
    base = wanted if len(os.fsencode(wanted)) <= LONGEST_BASE else Path("/tmp")  # noqa: S108 - the folder in it is closed
    folder = Path(tempfile.mkdtemp(prefix="evo-ray-", dir=base))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Variables as given, None for not at all, until the context ends."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def _loopback() -> Iterator[None]:
    """Let a cluster that is started meanwhile have the address 127.0.0.1, and listen there only.

    Ray 2.60 does so where clusters of several machines are not to be, by default on macOS and Windows; an address that is given
    as `_node_ip_address` it takes for a slip, and replaces by the machine's.
    """
    from ray._private import ray_constants

    before, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        with _environment({ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0"}):  # of Ray's own processes
            yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _check_form(address: str) -> None:
    """See that `address` is of the form that a driver takes.

    Raises:
        InputError: it is a URL, be it of a Ray client or of the job server, or its port is none.
    """
    scheme, found, rest = address.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2].partition(":")[0] or "HEAD"
    if found:
        submits = (
            f"; `evosearch submit --address {address}` sends a search there" if scheme[:4] == "http" else ""
        )
        raise InputError(
            f"the address of the Ray cluster is {without_password(address)}, but a driver needs the control plane's, "
            f"HOST:PORT without ://, for instance {host}:6379, and a node of the cluster on its machine{submits}"
        )
    port = address.rpartition(":")[2] if ":" in address else ""
    if port.isdecimal() and not 0 < int(port) < 2**16:
        raise InputError(
            f"the address of the Ray cluster is {address}, but ports are numbers from 1 to 65535; 6379 is the usual one"
        )


def _knock(address: str, seconds: float = GREETING_SECONDS) -> None:
    """Fail soon where nobody listens, or something else than a control plane: Ray 2.60 tries for minutes, and obeys
    no signal meanwhile. What is asked is the greeting of HTTP/2 (RFC 9113, 3.4), which every gRPC server answers.

    Raises:
        OSError: nobody listens there.
        CannotRunError: who listens does not speak gRPC.
    """
    host, _, port = address.rpartition(":")
    if not port.isdecimal():  # "auto", for instance
        return
    there = (host.strip("[]"), int(port))
    with socket.create_connection(there, KNOCK_SECONDS) as connection, connection.makefile("rb") as answers:
        if os.environ.get("RAY_USE_TLS", "0") not in {"", "0"}:
            return
        connection.settimeout(seconds)
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + EMPTY_SETTINGS)
        try:
            answer = answers.read(len(EMPTY_SETTINGS))
            said = f"answers {answer!r}" if answer else "hangs up"
        except TimeoutError:
            answer, said = b"", f"says nothing for {seconds:.0f} s"
    if answer[3:4] != EMPTY_SETTINGS[3:4]:
        raise CannotRunError(
            f"no Ray cluster at {address}: who listens there {said}, as no control plane does; is this the dashboard's "
            "port? The control plane's is usually 6379"
        )


def _init(address: str, **options: Any) -> None:
    import ray

    options["job_config"] = _job_config()
    try:
        with _sigterm_heard():
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except SystemExit as error:  # how Ray answers a SIGTERM from the moment it has put its own handler in
        raise InterruptedSearchError(
            "stopped by SIGTERM while Ray was starting; run the same command again"
        ) from error
    _print_worker_logs(False)


@contextmanager
def _sigterm_heard() -> Iterator[None]:
    """Ray's answer to a SIGTERM while it starts, a SystemExit wherever Python is, but none that gets lost.

    In a destructor, or in what is called around a fork, Python drops it; and of logging's locks the one around a fork
    would then stay taken for ever.
    """
    import ray._private.utils

    utils: Any = ray._private.utils
    heard: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if frame and frame.f_code.co_filename == logging.__file__:
            threading.Timer(0.02, os.kill, (os.getpid(), number)).start()  # not here, but soon
            return
        heard.append(number)
        sys.exit(number)

    before = utils.set_sigterm_handler
    utils.set_sigterm_handler = lambda _: signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        utils.set_sigterm_handler = before
    if heard:
        sys.exit(heard[0])


def _job_config() -> "JobConfig":
    """Where workers import from: their node's Python, and where this package is if that is a checkout.

    Ray would put the working directory and the program's folder first, with whatever is there.
    """
    from ray.job_config import JobConfig

    class Unswayed(JobConfig):
        def _runtime_env_has_working_dir(self) -> bool:
            return True  # the one question on which Ray leaves both out

    folder = code_folder()
    installed = Path(folder).name in ("site-packages", "dist-packages")
    return Unswayed(_py_driver_sys_path=[] if installed else [folder])


def _refuse_stand_ins() -> None:
    """See that no file of a job's folder, which Ray puts first on every worker, hides what is needed there."""
    here = str(Path.cwd())
    if JOB_VARIABLE not in os.environ or here not in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        return
    others = [place for place in sys.path if place != here]
    needed = (
        sys.stdlib_module_names | {name.partition(".")[0] for name in sys.modules} | {"torch", "torchvision"}
    )
    needed -= {"evosearch", "workers"} if code_folder() == here else {"test"}
    for file in sorted(Path(here).iterdir()):
        if file.stem in needed and (file.suffix == ".py" or (file / "__init__.py").is_file()):
            if file.stem in sys.builtin_module_names or PathFinder.find_spec(file.stem, others) is None:
                continue
            raise InputError(
                f"{file} would take the place of the package {file.stem!r} on every worker, since Ray puts a job's folder "
                "first; rename it, or start the search with `evosearch submit`, which keeps them apart"
            )


def _print_worker_logs(wanted: bool) -> None:
    # Ray reports each dead worker on standard output, even without log_to_driver; the switch is its debugger's
    import ray._private.worker

    ray._private.worker._worker_logs_enabled = wanted


def _at_most(settings: WorkerSettings, threads: int, gpus: int, cores: int) -> WorkerSettings:
    """Settings for a cluster of this machine that holds whatever auto workers per GPU come to, which its cores bound."""
    if isinstance(settings.per_gpu, int) or not gpus:
        return settings
    return replace(settings, per_gpu=max(1, min(MOST_PER_GPU, cores // (gpus * threads))), count=None)


def _resources(slots: tuple[Slot, ...]) -> dict[str, int]:
    return {
        "num_cpus": sum(slot.threads for slot in slots),
        "num_gpus": len({slot.device for slot in slots if slot.device != "cpu"}),
    }


def _shared_device(settings: WorkerSettings, threads: int) -> Literal["cpu", "cuda"]:
    nodes = look().nodes
    device = choose_device(nodes, settings)
    check_holds_one(nodes, settings, threads, device)
    return device
