"""A command as a Ray job: what is sent to the cluster, how the job is followed, and how it ended."""

import asyncio
import base64
import contextlib
import inspect
import logging
import os
import secrets
import shlex
import signal
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

from evosearch.errors import CannotRunError, InputError, InterruptedSearchError
from evosearch.storage import without_password
from workers import on_head
from workers.parcel import INSIDE, Parcel

if TYPE_CHECKING:
    from ray.job_submission import JobDetails, JobSubmissionClient

Answer = TypeVar("Answer")

ADDRESS_VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""Where Ray's own command line looks for the cluster, in this order; Ray lets them beat an address that is given."""

SAFE = {"PYTHONSAFEPATH": "1"}
"""Under which Python imports nothing from the folder it happens to run in."""

MOST_DELETIONS = 3
"""Of one job; what comes back after that stays."""

MONITOR_SECONDS = 1.5
"""Ray's monitor of a job looks after each second (`JOB_MONITOR_LOOP_PERIOD_S`)."""

ANSWER_SECONDS = 10.0
SILENT_SECONDS = 60.0
"""So long may the cluster be out of reach while a job is followed, as when a tunnel is opened again."""
LISTENING_SECONDS = 600.0
"""After so long the log is asked for again."""


class JobClient:
    """The jobs of one cluster.

    Raises:
        InputError: no address is given, or one that Ray's job server does not have.
        CannotRunError: nobody answers there, or refuses the token.
    """

    def __init__(self, address: str | None) -> None:
        given = address or next(filter(None, map(os.environ.get, ADDRESS_VARIABLES)), None)
        if given is None:
            raise InputError(
                "no cluster is named; give --address http://HEAD:8265, or set RAY_API_SERVER_ADDRESS"
            )
        self._client = _connected(given)

    @property
    def address(self) -> str:
        """URL of the head's job server, without the password it may hold."""
        return without_password(str(self._client.get_address()))

    def submit(self, command: Sequence[str], parcel: Parcel, variables: Mapping[str, str]) -> str:
        """Start `command` in the parcel's copy, with these environment variables; returns the id that Ray gave the job.

        Nothing is reserved for it (`entrypoint_num_cpus` stays 0): Ray then starts it on the head, also where the
        head has no cores for workers. The id is Ray's, since it refuses one that it has had before.

        Raises:
            InputError: a file of the parcel cannot be read any more.
            CannotRunError: Ray does not take it.
        """
        entrypoint = f"cd {INSIDE} && exec {shlex.join(command)}"
        with parcel.packed() as package, self._told("the cluster does not take the job"):
            environment = {"working_dir": str(package), "env_vars": {**SAFE, **variables}}
            with _reaching():
                return str(self._client.submit_job(entrypoint=entrypoint, runtime_env=environment))

    def follow(self, job: str, write: Callable[[str], None]) -> int:
        """Write the job's log as it comes, line by line, until it has ended; returns its driver's exit status.

        Raises:
            InterruptedSearchError: by Ctrl-C, SIGTERM or SIGHUP, where the job runs on; or the job was stopped.
            CannotRunError: it never began, or its cluster is lost.
        """
        with self._told(f"job {job} may run on, but it is out of reach"):
            try:
                details = asyncio.run(self._followed(job, write))
            except asyncio.CancelledError:
                raise InterruptedSearchError(
                    f"stopped waiting; job {job} runs on, `ray job stop --address {self.address} {job}` stops it"
                ) from None
        return _exit_status(job, details)

    def run(
        self, arguments: Sequence[str], write: Callable[[str], None], variables: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Run `evosearch ARGUMENTS` on the head, with these environment variables; no file is sent, nothing reserved.

        What it writes to standard error is written as it comes, line by line. The first Ctrl-C, SIGTERM or SIGHUP
        stops the job, a second one leaves it. Ray forgets the job when it has ended.

        Returns:
            The command's exit status, and all that it wrote to standard output.

        Raises:
            InterruptedSearchError: it was stopped.
            KeyboardInterrupt: by the second Ctrl-C.
            CannotRunError: the head cannot run it, or the cluster is lost.
        """
        output = _Output(secrets.token_hex(16), write)
        program = ["python", "-P", "-c", inspect.getsource(on_head), output.mark, *arguments]
        environment = {"env_vars": {**SAFE, **variables}}
        submit = partial(
            self._client.submit_job, entrypoint=f"exec {shlex.join(program)}", runtime_env=environment
        )
        try:
            job, details = asyncio.run(self._ran(submit, output))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        status = _exit_status(job, details)
        if not output.begun:
            reason = output.newest or _in_one_line(details.message)
            raise CannotRunError(f"the cluster's head at {self.address} cannot run the command: {reason}")
        if not output.whole:
            raise CannotRunError(
                f"job {job} at {self.address} was killed (exit status {status}) before its output was whole"
            )
        return status, output.content()

    async def _ran(self, submit: Callable[[], str], output: "_Output") -> "tuple[str, JobDetails]":
        asked = asyncio.Event()
        _at_signals(asked.set, _cancel_this())
        with self._told("the cluster does not take the command"):
            job = await _asked(submit, SILENT_SECONDS)
        stopping = asyncio.create_task(self._stopped_when(asked, job))
        try:
            with self._told(f"job {job} may run on, but it is out of reach"):
                details = await self._ended(job, output.take, lambda: output.whole)
        except asyncio.CancelledError:  # by a second Ctrl-C
            output.write(f"job {job} may run on; `ray job stop --address {self.address} {job}` stops it")
            raise
        finally:
            stopping.cancel()
        with contextlib.suppress(_OutOfReachError):
            await self._forget(job)
        return job, details

    async def _forget(self, job: str) -> None:
        """Have Ray forget a job that has ended, until it is gone for longer than Ray takes to look after its jobs.

        Ray's monitor of a job looks each second whether the job's supervisor lives. Where it is slow to notice that the
        supervisor has left after its work, it finds a deleted job without a status and writes it down anew, as failed.
        """
        for _ in range(MOST_DELETIONS):
            await _asked(partial(self._client.delete_job, job), ANSWER_SECONDS)
            await asyncio.sleep(MONITOR_SECONDS)
            if not await self._knows(job):
                return

    async def _knows(self, job: str) -> bool:
        """Whether Ray holds the job, and not only the driver that it once was."""
        every = await _asked(self._client.list_jobs, ANSWER_SECONDS)
        return any(one.type == "SUBMISSION" and one.submission_id == job for one in every)

    async def _stopped_when(self, asked: asyncio.Event, job: str) -> None:
        """Ask for the job's end, once that is wanted, until the cluster has heard it."""
        await asked.wait()
        while True:
            with contextlib.suppress(_OutOfReachError):
                await _asked(partial(self._client.stop_job, job), ANSWER_SECONDS)
                return
            await asyncio.sleep(1)

    async def _followed(self, job: str, write: Callable[[str], None]) -> "JobDetails":
        _at_signals(_cancel_this())
        return await self._ended(job, write)

    async def _ended(
        self, job: str, write: Callable[[str], None], is_whole: Callable[[], bool] = lambda: False
    ) -> "JobDetails":
        """What Ray knows of the job once it has ended. `is_whole`: nothing more comes in its log, whose end Ray says late."""
        lines = _Lines(write)
        silent_since: float | None = None
        while True:
            try:
                if not is_whole():
                    await self._pass_on(job, lines, is_whole)
                details = await _asked(partial(self._client.get_job_info, job), ANSWER_SECONDS)
                if details.status.is_terminal():
                    lines.close()
                    return details
                silent_since = None
            except _OutOfReachError:
                silent_since = silent_since or time.monotonic()
                if time.monotonic() - silent_since > SILENT_SECONDS:
                    raise
            await asyncio.sleep(0.1 if is_whole() else 1)

    async def _pass_on(self, job: str, lines: "_Lines", is_whole: Callable[[], bool]) -> None:
        """Pass on what the log holds beyond the lines so far, until it ends; Ray begins at its beginning."""
        known, pieces = lines.seen, aiter(self._client.tail_job_logs(job))
        # Without a limit a connection that died in silence would be waited for for ever.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LISTENING_SECONDS):
                while not is_whole():
                    with _reaching():
                        text = await anext(pieces, None)
                    if text is None:
                        return
                    lines.take(text[known:])
                    known = max(0, known - len(text))

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except _OutOfReachError as error:
            raise CannotRunError(f"{what} at {self.address}: {error}") from error.__cause__


class _OutOfReachError(Exception):
    """The cluster did not answer Ray's client, or refused; its cause is what that raised."""


@contextlib.contextmanager
def _reaching() -> Iterator[None]:
    """Around calls of Ray's client alone: errors of these kinds from elsewhere are bugs of ours.

    Raises:
        _OutOfReachError: the call failed, and the cluster is the reason.
    """
    try:
        yield
    except _out_of_reach() as error:
        raise _OutOfReachError(_in_one_line(error) or "no answer") from error


async def _asked(call: Callable[[], Answer], seconds: float) -> Answer:
    """`call()` of Ray's client, waited for so long; raises as `_reaching`."""
    with _reaching():
        return await asyncio.wait_for(_in_daemon(call), seconds)


@dataclass(slots=True)
class _Lines:
    """Chunks of a log to whole lines. `seen`: characters that were taken."""

    write: Callable[[str], None]
    seen: int = 0
    _rest: str = ""

    def take(self, text: str) -> None:
        self.seen += len(text)
        *whole, self._rest = (self._rest + text).split("\n")
        for line in whole:
            self.write(line)

    def close(self) -> None:
        if self._rest:
            self.write(self._rest)


@dataclass(slots=True)
class _Output:
    """The lines of a log of `on_head` taken apart: marked ones hold standard output, the others are standard error.

    `begun`: the command began; what the log held before is Ray's. `newest`: the last of its lines. `whole`: all of standard output came.
    """

    mark: str
    write: Callable[[str], None]
    begun: bool = False
    whole: bool = False
    newest: str = ""
    _packed: list[str] = field(default_factory=list)

    def take(self, line: str) -> None:
        if not self.begun:
            self.begun, self.newest = line == self.mark, line
            return
        text, marked, packed = line.partition(
            f"{self.mark} "
        )  # a last line of standard error may lack its end
        if text or not marked:
            self.write(text)
        if packed == ".":
            self.whole = True
        elif packed:
            self._packed.append(packed)

    def content(self) -> bytes:
        return zlib.decompress(base64.b64decode("".join(self._packed))) if self._packed else b""


async def _in_daemon(call: Callable[[], Answer]) -> Answer:
    """`call()` in a thread that nobody has to wait for: Ray's client asks without a time limit."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Answer] = loop.create_future()

    def tell(take: Callable[[Any], None], value: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(lambda: None if answer.done() else take(value))

    def ask() -> None:
        try:
            tell(answer.set_result, call())
        except Exception as error:
            tell(answer.set_exception, error)

    threading.Thread(target=ask, daemon=True).start()
    return await answer


def _at_signals(*steps: Callable[[], object]) -> None:
    """The first Ctrl-C, SIGTERM or SIGHUP takes the first step, and so on; beyond the last they do what they always do.

    Under nohup SIGHUP is ignored, and stays so.
    """
    loop, left = asyncio.get_running_loop(), list(steps)
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    numbers = (signal.SIGINT, signal.SIGTERM, *(() if ignored else (signal.SIGHUP,)))

    def handle() -> None:
        left.pop(0)()
        for number in () if left else numbers:
            loop.remove_signal_handler(number)

    for number in numbers:
        loop.add_signal_handler(number, handle)


def _cancel_this() -> Callable[[], object]:
    """Cancels the task that runs now."""
    task = asyncio.current_task()
    return lambda: task is not None and task.cancel()


def _exit_status(job: str, details: "JobDetails") -> int:
    status, code = str(details.status), details.driver_exit_code
    if status == "STOPPED":
        raise InterruptedSearchError(f"job {job} was stopped; the same command goes on where it stopped")
    if code is None and status == "FAILED":
        raise CannotRunError(f"job {job} has no driver that ended: {_in_one_line(details.message)}")
    return 128 - code if code is not None and code < 0 else code or 0  # killed: what a shell makes of it


def _out_of_reach() -> tuple[type[Exception], ...]:
    """What Ray's client raises where the cluster is the reason."""
    import aiohttp
    import ray
    import requests

    network = (OSError, aiohttp.ClientError, requests.RequestException)
    return (*network, RuntimeError, ValueError, ray.exceptions.RayError)


def _connected(address: str) -> "JobSubmissionClient":
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    _silence_ray()
    url = _job_server(address)
    shown = without_password(url)
    try:
        with _only_address(url):
            return JobSubmissionClient()
    except AuthenticationError as error:
        reason = str(error).partition("\n")[0].partition(". ")[0]
        raise CannotRunError(
            f"the cluster at {shown} refuses this token ({reason}); set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH "
            "(or RAY_AUTH_TOKEN) to the cluster's own"
        ) from error
    except _out_of_reach() as error:
        reason = without_password(_in_one_line(error))
        raise CannotRunError(f"no Ray job server at {shown}: {reason}") from error


def _silence_ray() -> None:
    """Ray's own handler tells of every step, beside our own lines; others listen there for others' sake."""
    for handler in logging.getLogger("ray").handlers:
        if type(handler).__module__.startswith("ray."):
            handler.setLevel(logging.ERROR)


def _job_server(address: str) -> str:
    """The address as Ray's client takes it: a URL as it is, HOST:PORT as URL where HTTP is spoken there.

    Ray takes any other HOST:PORT for a cluster's own and asks it for the URL; it gives up after 40 seconds.
    """
    if address == "auto":
        return address
    scheme, is_url, rest = address.rpartition("://")
    if is_url and scheme not in ("http", "https"):
        raise InputError(
            f"jobs are not submitted to {without_password(address)}; give the dashboard's address, http://HEAD:8265"
        )
    url = f"{scheme or 'http'}://{rest}"
    shown = without_password(url)
    try:
        probe = f"{scheme or 'http'}://{rest.rpartition('@')[-1]}/api/version"
        urlopen(probe, timeout=ANSWER_SECONDS).close()  # noqa: S310 # http or https, see above
    except HTTPError:  # 401, since it goes without a token
        return url
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        if is_url or isinstance(reason, ConnectionRefusedError | TimeoutError | socket.gaierror):
            raise CannotRunError(f"no Ray job server at {shown}: {reason}") from error
        return address
    return url


@contextlib.contextmanager
def _only_address(address: str) -> Iterator[None]:
    """Ray lets its variables beat the address that is given: for as long as the context lasts there is only one."""
    before = {name: os.environ.pop(name, None) for name in ADDRESS_VARIABLES}
    os.environ[ADDRESS_VARIABLES[0]] = address
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _in_one_line(error: object) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:300]} ..."
