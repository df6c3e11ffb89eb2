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
│   └── JournalLostError            the journal was deleted, replaced or damaged while its search ran
├── HeldError                (4)    another driver holds the search
│   └── StaleTermError              a newer driver has taken the search over; this one must stop
├── TooManyFailuresError     (5)    stopped because too many evaluations failed; resumable
├── InterruptedSearchError  (75)    stopped by Ctrl-C, SIGTERM or `ray job stop`; resumable
└── EvaluationError                 raised inside a worker; the driver sees a `Failure`, never this
    ├── DivergedError               the loss became NaN or infinite
    └── TimedOutError               it passed `workers.soft_seconds`

Callers catch the branch they can repair; the command line catches `EvosearchError`. All of them survive
pickling, since they cross process boundaries.
"""


class EvosearchError(Exception):
    """Root of the tree: one line for the user, and the exit status the command ends with."""

    exit_status = 1

    @property
    def lines(self) -> tuple[str, ...]:
        """What a command prints: the message, unless there are several problems to list."""
        return (str(self),)


MOST_LINES = 10
"""Problems that a command lists in a line each; of further ones it tells how many there are."""


class InputError(EvosearchError):
    """The user's input is wrong; the message says what was found, where, and how to mend it."""

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
    """So many problems the message itself tells in full."""

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message, problems)
        self.problems = problems

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def lines(self) -> tuple[str, ...]:
        """Where the message does not tell every problem, up to `MOST_LINES` of them before it."""
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


class JournalLostError(CannotRunError):
    """The journal was deleted, replaced or damaged while its search ran; the message says what was rescued, and where."""


class HeldError(EvosearchError):
    """Another driver holds the search."""

    exit_status = 4


class StaleTermError(HeldError):
    """A commit of an older term was refused: a newer driver has taken the search over."""


class TooManyFailuresError(EvosearchError):
    """Too many evaluations failed; what is journaled stays, and `resume` opens the failed ones anew."""

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
