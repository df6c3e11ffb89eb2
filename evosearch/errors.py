"""Every error that evosearch raises on purpose, in one tree.

EvosearchError                      a command ends with its `exit_status` and prints its message as one line
├── InputError               (2)    what the user gave is wrong; the message names the value, the place, the repair
│   ├── ConfigError                 a configuration file or an override
│   │   └── PluginError             it names what nobody registers, or a plugin that is broken
│   ├── InvalidChromosomeError      a chromosome that cannot exist, in code or in text
│   ├── InfeasibleSpaceError        the search space holds (almost) nothing within its own limits
│   ├── DataError                   images, labels or split files; carries every bad file
│   ├── JournalError                a journal that is truncated, garbage or newer than this version
│   │   └── NewerJournalError       the last of these: an upgrade reads it
│   └── SearchConflictError         a name that is taken by a different search, or a search that is not there
├── CannotRunError           (3)    this machine, cluster or disk cannot run it
│   ├── JournalAwayError            the journal's server does not answer
│   │   └── JournalBusyError        another program has locked the journal's file
│   └── JournalLostError            the journal was deleted, replaced or damaged while its search ran
├── HeldError                (4)    another driver holds the search
│   └── StaleTermError              a newer driver has taken the search over; this one must stop
├── TooManyFailuresError     (5)    stopped because too many evaluations failed; resumable
├── InterruptedSearchError  (75)    stopped by Ctrl-C, SIGTERM, SIGHUP or `ray job stop`; resumable
└── EvaluationError                 raised inside a worker; the driver sees a `Failure`, never this
    ├── DivergedError               the loss became NaN or infinite
    └── TimedOutError               it passed `workers.soft_seconds`

Callers catch the branch they can repair; the command line catches `EvosearchError`. All of them survive
pickling, since they cross process boundaries. What the operating system refuses, and nobody on the way has translated,
the command line translates by `of_system`.
"""

import errno
import os
import re


class EvosearchError(Exception):
    """Root of the tree: one line for the user, and the exit status the command ends with."""

    exit_status = 1

    @property
    def lines(self) -> tuple[str, ...]:
        """What a command prints: the message, unless there are several problems to list."""
        return (str(self),)


MOST_LINES = 10
"""Problems that a command lists in a line each; of further ones it says how many there are."""


class InputError(EvosearchError):
    """The user's input is wrong; the message says what was found, where, and how to fix it."""

    exit_status = 2


class ConfigError(InputError):
    """A configuration file, or an override of one of its keys, is wrong.

    `problems` lists everything that is wrong, one line each, where that is more than one thing; the message is the first
    of them, and how many more there are.
    """

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message, problems)
        self.problems = problems

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def lines(self) -> tuple[str, ...]:
        """Every problem, up to `MOST_LINES` of them, and how many more there are."""
        more = len(self.problems) - MOST_LINES
        return (*self.problems[:MOST_LINES], *([f"and {more} more"] if more > 0 else [])) or (str(self),)


class PluginError(ConfigError):
    """A configuration names something that nobody registers, or whose plugin is broken."""


class InvalidChromosomeError(InputError):
    """A gene or chromosome that cannot exist, or a text that is none."""


class InfeasibleSpaceError(InputError):
    """No feasible chromosome was drawn within the allowed number of redraws."""


class DataError(InputError):
    """Images, labels or splits cannot be used.

    `problems` lists everything that is wrong, each bad file for instance, one line each; the message summarises them.
    """

    IN_MESSAGE = 3
    """So many problems the message itself names in full."""

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message, problems)
        self.problems = problems

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def lines(self) -> tuple[str, ...]:
        """Where the message does not name every problem, up to `MOST_LINES` of them before it."""
        several = len(self.problems) > self.IN_MESSAGE
        return (*(self.problems[:MOST_LINES] if several else ()), str(self))


class JournalError(InputError):
    """The journal cannot be read by this version; it is never overwritten."""


class NewerJournalError(JournalError):
    """The journal was written by a newer version; upgrading evosearch is the repair."""


class SearchConflictError(InputError):
    """The named search is missing, unfinished where it must be finished, or a different one."""


class CannotRunError(EvosearchError):
    """This machine, cluster or disk cannot run the search; found before the first evaluation."""

    exit_status = 3


class JournalAwayError(CannotRunError):
    """The journal's server does not answer, or hung up; what was just written may be there or not."""


class JournalBusyError(JournalAwayError):
    """Another program has locked the journal's file; nothing was written."""


class JournalLostError(CannotRunError):
    """The journal was deleted, replaced or damaged while its search ran; the message says what was rescued, and where."""


class HeldError(EvosearchError):
    """Another driver holds the search."""

    exit_status = 4


class StaleTermError(HeldError):
    """A commit of an older term was refused: a newer driver has taken the search over."""


class TooManyFailuresError(EvosearchError):
    """Too many evaluations failed; what is journaled stays, and `resume` opens the failed ones again."""

    exit_status = 5


class InterruptedSearchError(EvosearchError):
    """The search was asked to stop; what was in flight is trained again on resume."""

    exit_status = 75


class EvaluationError(EvosearchError):
    """An evaluation cannot go on; raised and turned into a `Failure` inside a worker."""


class DivergedError(EvaluationError):
    """The training loss became NaN or infinite."""


class TimedOutError(EvaluationError):
    """The evaluation passed its soft time limit; raised between two epochs."""


_INPUT = frozenset(
    {errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.ENXIO}
)
"""What the system says of a path that names nothing it could use; anything else is a matter of this machine."""

_REPAIRS = {
    errno.EAGAIN: "this user may start no more processes; end some, or raise the limit (ulimit -u)",
    errno.EMFILE: "this process may open no more files; raise the limit (ulimit -n)",
    errno.ENFILE: "end what holds many files open",
    errno.ENOMEM: "end what uses the memory, or take a larger machine",
    errno.ENOSPC: "make room, or choose another place",
    errno.EDQUOT: "make room, or choose another place",
    errno.EROFS: "choose another place",
    errno.EACCES: "see to its permissions, or choose another place",
    errno.EPERM: "see to its permissions, or choose another place",
    errno.ENAMETOOLONG: "choose a shorter one",
    errno.ELOOP: "its links lead in a circle",
}


_LOADER = {
    "failed to map segment": errno.ENOMEM,
    "cannot allocate memory": errno.ENOMEM,
    "Too many open files": errno.EMFILE,
    r"cannot open shared object file: Error 24$": errno.EMFILE,
}
"""Patterns of words of the loader of libraries (glibc's, musl's), and what they mean."""

_OURS = frozenset({errno.EBADF, errno.EDOM, errno.ERANGE})
"""What the system says of a call that should not have been made: a closed descriptor, a number out of range."""


def of_system(error: OSError | MemoryError | RuntimeError | ImportError) -> EvosearchError | None:
    """What the operating system refused, as an error of ours: its reason, the path that it is about, the repair.

    None for what is a bug of ours: a RuntimeError that is not Python's word for a thread that the system refused, an
    ImportError that is not the loader's for a library that it had no room or no descriptor for, an OSError that says
    nothing, or that a call of ours made no sense.
    """
    if isinstance(error, ImportError):
        number = next((number for words, number in _LOADER.items() if re.search(words, str(error))), None)
        return CannotRunError(f"{error}; {_REPAIRS[number]}") if number else None
    if isinstance(error, MemoryError):
        detail = f" ({error})" if str(error) else ""
        return CannotRunError(f"there is not enough memory{detail}; {_REPAIRS[errno.ENOMEM]}")
    if isinstance(error, RuntimeError):
        refused = "can't start new thread" in str(error)
        return CannotRunError(f"no thread can be started: {_REPAIRS[errno.EAGAIN]}") if refused else None
    if not str(error) or error.errno in _OURS:
        return None
    number = error.errno or 0
    if number == errno.ENOENT and _no_working_directory():
        return InputError("the working directory is gone; change to one that is there")
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    about = f"{' and '.join(map(_shortened, names))}: " if names else ""
    repair = f"; {_REPAIRS[number]}" if number in _REPAIRS else ""
    kind = InputError if number in _INPUT and names else CannotRunError
    return kind(f"{about}{error.strerror or error}{repair}")


def _no_working_directory() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - what pathlib would ask
    except OSError:
        return True
    return False


def _shortened(name: str) -> str:
    return name if len(name) <= 200 else f"{name[:100]}…{name[-60:]} ({len(name):,} characters)"
